"""Images of tasks, whose URLs expire, and the addresses of the console itself."""

from playwright.sync_api import expect

from case import ConsoleTest, loaded


class Images(ConsoleTest):
    def test_an_expired_url_is_fetched_again(self):
        page = self.open()
        self.submit(page, "with an expired url", width="64", height="64")
        self.status(page, "succeeded")
        path = f"**/v1/tasks/{page.url.rsplit('/', 1)[1]}"
        responses = []

        def expire_the_first(route):
            task = route.fetch().json()
            if not responses:
                for output in task["outputs"]:
                    output["url"] = output["url"].replace("X-Amz-Date=2", "X-Amz-Date=1")
            responses.append(task)
            route.fulfill(json=task)

        page.route(path, expire_the_first)
        page.goto(f"{self.stack.console}#/gallery")
        page.reload()
        image = page.locator(".sheet li").filter(has_text="with-an-expired-url").locator("img")
        expect(image).to_have_js_property("naturalWidth", 64)
        self.assertEqual(len(responses), 2)

    def test_the_gallery_is_browsed_with_arrow_keys(self):
        page = self.open()
        page.locator("#field-batch_size").fill("2")
        self.submit(page, "two images", width="64", height="64")
        self.status(page, "succeeded")
        page.get_by_role("link", name="Gallery").click()
        page.get_by_role("button", name="two-images, image 1").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("1 of")
        page.keyboard.press("ArrowRight")
        expect(dialog).to_contain_text("2 of")
        loaded(page, "dialog img")
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="two-images, image 2")).to_be_focused()

    def test_everything_works_below_the_stage_of_api_gateway(self):
        console = self.console()
        console.url = self.stack.console.replace("/console", "/prod/console")
        page = console.open()
        self.submit(page, "below a stage", width="64", height="64")
        self.assertIn("/prod/console#/tasks/", page.url)
        self.status(page, "succeeded")
        loaded(page, ".outputs img")
