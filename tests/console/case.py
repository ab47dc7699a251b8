"""What every test of the console has."""

import unittest

from playwright.sync_api import Browser, Page, expect

from stack import PATIENCE, Console, Stack

expect.set_options(timeout=PATIENCE)


class ConsoleTest(unittest.TestCase):
    """One stack and one browser for all tests, one tab for each."""

    stack: Stack
    browser: Browser

    def console(self, **options) -> Console:
        """A tab, and the check in the end that nothing broke the policy and no script failed."""
        console = Console(self.browser, self.stack.console, **options)
        self.addCleanup(lambda: self.assertEqual(console.faults, []))
        self.addCleanup(console.close)
        return console

    def open(self, view: str = "new", **options) -> Page:
        return self.console(**options).open(view)

    def submit(self, page: Page, prompt: str, **fields: str) -> None:
        """Fills in the form of `#/new` and submits it."""
        page.get_by_label("prompt", exact=True).fill(prompt)
        for name, value in fields.items():
            page.locator(f"#field-{name}").fill(value)
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**#/tasks/*")

    def status(self, page: Page, status: str) -> None:
        """Waits until the open task has that status."""
        expect(page.locator(".top .status")).to_have_text(status)


def loaded(page: Page, selector: str) -> None:
    """Waits until an image has been loaded and has pixels."""
    page.wait_for_function(
        "selector => { const image = document.querySelector(selector); return image?.complete && image.naturalWidth > 0 }",
        arg=selector)
