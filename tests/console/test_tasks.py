"""Tasks from the form to their end."""

import pathlib

from playwright.sync_api import expect

from case import ConsoleTest, loaded
from stack import KEY

WORKFLOW = """{
  "1": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1, "color": 0}, "_meta": {"title": "canvas"}},
  "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "console"}}
}"""


class Tasks(ConsoleTest):
    def test_a_prompt_becomes_an_image_with_a_timeline(self):
        page = self.open()
        self.submit(page, "a lighthouse at dusk", width="128", height="96", steps="4")
        self.status(page, "succeeded")
        loaded(page, ".outputs img")
        self.assertEqual(page.locator(".outputs img").evaluate("image => [image.naturalWidth, image.naturalHeight]"), [128, 96])
        expect(page.get_by_role("heading", level=1)).to_have_text("a-lighthouse-at-dusk")
        expect(page.locator("#announce")).to_have_text("Status: succeeded.")
        timeline = page.get_by_role("region", name="Timeline")
        expect(timeline.get_by_role("row")).to_have_count(4)
        expect(timeline.get_by_role("listitem")).to_contain_text(["submitted", "started", "succeeded"])

    def test_a_list_shows_each_task_and_follows_it(self):
        page = self.open()
        page.get_by_label("runtime", exact=True).select_option("slow")
        self.submit(page, "watched in the list", width="64", height="64")
        page.get_by_role("link", name="Tasks", exact=True).first.click()
        row = page.locator(".tasks li").filter(has_text="watched-in-the-list")
        expect(row).to_contain_text("running")
        other = self.open("tasks")
        other.locator(".tasks li").filter(has_text="watched-in-the-list").click()
        other.get_by_role("button", name="Cancel").click()
        expect(row).to_contain_text("canceled")
        expect(page.locator("#announce")).to_have_text("watched-in-the-list: canceled")

    def test_more_tasks_than_one_call_has_are_listed(self):
        page = self.open("tasks")
        # They expire at once, so no other test waits for them.
        task = {"runtime": "sdruntime", "type": "text-to-image", "start_by": "2026-01-01T00:00:00Z",
                "labels": {"batch": "large"}, "content": {"prompt": "one of many"}}
        batch = self.stack.console.removesuffix("console") + "v1/tasks/batch"
        for count in (100, 10):
            response = page.request.post(batch, headers={"x-api-key": KEY}, data={"tasks": [task] * count})
            self.assertTrue(response.ok, response.text())
        page.get_by_label("Label", exact=True).fill("batch=large")
        page.get_by_label("Label", exact=True).press("Enter")
        more = page.get_by_role("button", name="Show more")
        for count in (25, 50, 75, 100):
            expect(page.locator(".tasks li")).to_have_count(count)
            more.click()
        expect(page.locator(".tasks li")).to_have_count(110)
        expect(more).to_be_hidden()

    def test_a_running_task_is_canceled(self):
        page = self.open()
        page.get_by_label("runtime", exact=True).select_option("slow")
        self.submit(page, "never finished", width="64", height="64")
        self.status(page, "running")
        page.get_by_role("button", name="Cancel").click()
        self.status(page, "canceled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.get_by_role("button", name="Retry")).to_have_count(0)

    def test_a_failure_says_why_and_is_retried(self):
        page = self.open()
        page.get_by_label("type", exact=True).select_option("image-to-image")
        page.get_by_label("init images: address").fill("s3://darkroom-output/none.png")
        self.submit(page, "from nothing", width="64", height="64")
        self.status(page, "failed")
        expect(page.locator(".failure")).to_contain_text("input_not_found")
        first = page.url
        page.get_by_role("button", name="Retry").click()
        page.wait_for_url(lambda url: url != first)
        self.status(page, "failed")
        page.get_by_role("link", name=first.rsplit("/", 1)[1]).click()
        expect(page.get_by_text("retried as")).to_be_visible()

    def test_faults_of_a_task_are_shown_beside_their_fields(self):
        page = self.open()
        page.get_by_label("prompt", exact=True).fill("too wide")
        page.locator("#field-width").fill("100000000")
        page.locator("summary", has_text="More fields").click()
        page.locator("#more").fill("{")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#more-fault")).to_be_visible()
        page.locator("#more").fill('{"tiling": true}')
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#field-width-fault")).to_contain_text("/content/width")
        expect(page.locator("#field-width")).to_be_focused()
        expect(page.locator("#field-width")).to_have_attribute("aria-invalid", "true")
        page.locator("#field-width").fill("64")
        expect(page.locator("#field-width-fault")).to_be_hidden()

    def test_an_image_is_uploaded_and_used(self):
        page = self.open()
        page.get_by_label("type", exact=True).select_option("image-to-image")
        image = pathlib.Path(__file__).parent / "input.png"
        page.locator("#field-init_images").set_input_files(image)
        expect(page.locator(".files li")).to_contain_text("input.png")
        self.submit(page, "from an upload", width="64", height="64")
        self.status(page, "succeeded")
        loaded(page, ".outputs img")

    def test_a_workflow_is_dropped_changed_and_run(self):
        page = self.open()
        data = page.evaluate_handle(
            "text => { const data = new DataTransfer();"
            " data.items.add(new File([text], 'workflow.json', {type: 'application/json'})); return data }", WORKFLOW)
        page.dispatch_event("#field-prompt", "drop", {"dataTransfer": data})
        expect(page.get_by_label("runtime", exact=True)).to_have_value("comfyui")
        page.get_by_label("width canvas").fill("48")
        page.locator("summary", has_text="Name, labels").click()
        page.get_by_label("name", exact=True).fill("a-workflow")
        page.get_by_role("button", name="Submit").click()
        self.status(page, "succeeded")
        loaded(page, ".outputs img")
        self.assertEqual(page.locator(".outputs img").evaluate("image => image.naturalWidth"), 48)

    def test_a_request_without_a_response_is_repeated_with_the_same_key(self):
        page = self.open()
        keys = []

        def lose(route):
            keys.append(route.request.headers["idempotency-key"])
            if len(keys) == 1:
                route.fetch()
                route.abort()
            else:
                route.continue_()

        page.route("**/v1/tasks", lose)
        page.get_by_label("prompt", exact=True).fill("sent twice")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator(".faults")).to_contain_text("does not respond")
        page.get_by_role("button", name="Submit").click()
        self.status(page, "succeeded")
        self.assertEqual(keys[0], keys[1])
        page.get_by_role("link", name="Tasks", exact=True).first.click()
        expect(page.locator(".tasks li").filter(has_text="sent-twice")).to_have_count(1)

    def test_runtimes_show_their_backlog_and_the_tasks_of_the_key(self):
        page = self.open()
        page.get_by_label("runtime", exact=True).select_option("slow")
        self.submit(page, "occupies a runtime", width="64", height="64")
        self.status(page, "running")

        def with_backlog(route):
            answer = route.fetch().json()
            answer["runtimes"][0]["backlog"] = {"waiting": 3, "in_flight": 1}
            route.fulfill(json=answer)

        page.route("**/v1/runtimes", with_backlog)
        page.get_by_role("link", name="Runtimes").click()
        panels = page.locator(".runtimes section")
        expect(panels.filter(has_text="sdruntime")).to_contain_text("3 waiting, 1 in flight", use_inner_text=True)
        expect(panels.filter(has_text="slow")).to_contain_text("0 queued, 1 running")
        task = page.go_back() or page.get_by_role("button", name="Cancel")
        task.click()
        self.status(page, "canceled")
