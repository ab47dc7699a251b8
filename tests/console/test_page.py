"""The page itself: its key, its policy, hostile texts, keyboard, screens and modes."""

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from case import ConsoleTest, loaded
from stack import KEY

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
VIEWS = ("new", "tasks", "gallery", "runtimes")


class Page(ConsoleTest):
    def test_the_key_is_asked_for_kept_and_forgotten(self):
        console = self.console()
        page = console.open(key=None)
        page.get_by_label("Key", exact=True).fill("another key")
        page.keyboard.press("Enter")
        expect(page.get_by_text("does not accept this key")).to_be_visible()
        page.get_by_label("Key", exact=True).fill(KEY)
        page.get_by_label("Keep it in this browser").check()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New task")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("New task")
        page.get_by_role("button", name="API key").click()
        expect(page.get_by_label("Key", exact=True)).to_be_focused()
        self.assertEqual(page.evaluate("localStorage.length + sessionStorage.length"), 0)

    def test_the_policy_refuses_markup_scripts_and_other_origins(self):
        console = self.console()
        page = console.open()
        refused = page.evaluate(
            "() => { try { document.body.innerHTML = '<p>'; return '' } catch (error) { return error.name } }")
        self.assertEqual(refused, "TypeError")
        page.evaluate(
            "new Promise(resolve => { document.addEventListener('securitypolicyviolation', () => resolve(), {once: true});"
            " fetch('http://127.0.0.1:9/').catch(() => {}) })")
        expected = ["policy: require-trusted-types-for trusted-types-sink", "policy: connect-src http://127.0.0.1:9/"]
        self.assertEqual(console.faults, expected)
        console.faults.clear()

    def test_hostile_texts_are_shown_as_they_are(self):
        page = self.open()
        page.on("dialog", lambda dialog: self.fail(dialog.message))
        page.locator("summary", has_text="Name, labels").click()
        page.get_by_label("labels", exact=True).fill(f"note={HOSTILE}")
        self.submit(page, HOSTILE, width="64", height="64")
        self.status(page, "succeeded")
        expect(page.locator(".label")).to_have_text(f"note={HOSTILE}")
        self.assertEqual(page.locator("main script, main img[src=x]").count(), 0)

    def test_hostile_responses_are_shown_as_they_are(self):
        page = self.open()
        self.submit(page, "to be replaced", width="64", height="64")
        self.status(page, "succeeded")
        task = page.evaluate("id => fetch(`v1/tasks/${id}`, {headers: {'x-api-key': '%s'}}).then(r => r.json())" % KEY,
                             page.url.rsplit("/", 1)[1])
        task |= {"name": HOSTILE, "status": HOSTILE, "runtime": HOSTILE, "type": HOSTILE, "seed": {"a": HOSTILE},
                 "error": {"code": HOSTILE, "message": HOSTILE, "field": HOSTILE}}
        task["outputs"][0] |= {"url": "javascript:alert(1)", "s3_uri": HOSTILE, "content_type": "text/html"}
        page.on("dialog", lambda dialog: self.fail(dialog.message))
        page.route("**/v1/tasks?*", lambda route: route.fulfill(json={"tasks": [task], "next_cursor": None}))
        page.route("**/v1/tasks/*", lambda route: route.fulfill(json=task))
        page.get_by_role("link", name="Tasks", exact=True).first.click()
        expect(page.locator(".tasks .name")).to_have_text(HOSTILE)
        page.locator(".tasks a").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
        expect(page.locator(".failure")).to_contain_text(HOSTILE)
        expect(page.locator(".outputs")).to_contain_text("text/html")
        self.assertEqual(page.locator("a[href^=javascript]").count(), 0)
        self.assertEqual(page.locator("main script, main img[src=x]").count(), 0)

    def test_the_keyboard_is_enough(self):
        page = self.open()
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        self.tab_to(page, "#field-prompt")
        page.keyboard.type("by keyboard")
        self.tab_to(page, "#field-width")
        page.keyboard.type("64")
        self.assertNotEqual(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "none")
        page.keyboard.press("Control+Enter")
        self.status(page, "succeeded")
        page.reload()
        self.tab_to(page, "#skip")
        page.keyboard.press("Enter")
        self.tab_to(page, ".outputs a")
        page.goto(f"{self.stack.console}#/gallery")
        loaded(page, ".shot img")
        self.tab_to(page, ".shot")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".shot").first).to_be_focused()

    def tab_to(self, page, selector: str) -> None:
        """Presses Tab until an element has the focus; there are fewer than 60 on a page."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        self.fail(f"{selector} cannot be reached by Tab")

    def test_each_view_fits_a_narrow_screen(self):
        page = self.open(viewport={"width": 360, "height": 740})
        self.submit(page, "narrow " + "m" * 60, width="512", height="64")
        self.status(page, "succeeded")
        views = [page.url.split("#/")[1], *VIEWS]
        for view in views:
            page.goto(f"{self.stack.console}#/{view}")
            expect(page.locator("h1")).to_be_visible()
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 360, view)

    def test_each_view_is_accessible_in_both_modes(self):
        """axe-core's rules for WCAG 2 A and AA, contrast included."""
        for mode in ("dark", "light"):
            page = self.open(color_scheme=mode)
            self.submit(page, f"accessible {mode}", width="64", height="64")
            self.status(page, "succeeded")
            loaded(page, ".outputs img")
            grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
            self.assertEqual(grounds, {"dark": "rgb(19, 17, 16)", "light": "rgb(245, 242, 237)"}[mode])
            for view in (page.url.split("#/")[1], *VIEWS):
                page.goto(f"{self.stack.console}#/{view}")
                expect(page.locator("main :is(form, .side h2, li, section)").first).to_be_visible()
                found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]})
                faults = [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found.response["violations"]]
                self.assertEqual(faults, [], f"{mode} {view}: {json.dumps(faults, indent=1)}")

    def test_a_hidden_tab_makes_no_calls(self):
        console = self.console()
        console.page.clock.install()
        page = console.open("tasks")
        calls = []
        expect(page.locator("h1")).to_be_visible()
        page.on("request", lambda request: calls.append(request.url))
        with page.expect_response("**/v1/tasks?*"):
            page.clock.fast_forward(60_000)
        self.show(page, "hidden")
        page.wait_for_load_state("networkidle")
        calls.clear()
        page.clock.run_for(600_000)
        self.assertEqual(calls, [])
        with page.expect_response("**/v1/tasks?*"):
            self.show(page, "visible")

    def show(self, page, state: str) -> None:
        page.evaluate(
            "state => { Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});"
            " document.dispatchEvent(new Event('visibilitychange')) }", state)
