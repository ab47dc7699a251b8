"""A local stack, and Chromium with the console of that stack."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from playwright.sync_api import Browser, Page, sync_playwright

KEY = "a key for tests"
# Debian's, Ubuntu's and Google's names of the program.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# How long a condition is waited for, in milliseconds.
PATIENCE = 30_000
DESKTOP = {"width": 1280, "height": 860}


def browser_program() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def started(process: subprocess.Popen, pattern: str) -> str:
    """What the pattern finds in the output of a program that has started."""
    return next(found[1] for line in process.stdout if (found := re.search(pattern, line)))


class Stack:
    """A local stack with the runtimes `sdruntime`, `comfyui`, and `slow`, whose runs do not end within a test."""

    def __init__(self, programs: pathlib.Path):
        self._folder = tempfile.TemporaryDirectory()
        self._processes = []
        slow = self._start(programs / "simulated-runtime", "sdwebui", "--listen", "127.0.0.1:0", "--latency-ms", "600000")
        runtime = "slow=sdwebui:" + started(slow, r"(http://[\d.:]+)")
        ports = ["--listen", "127.0.0.1:0", "--aws-listen", "127.0.0.1:0"]
        options = ["--data-dir", f"{self._folder.name}/data", "--api-key", KEY, "--latency-ms", "400", "--runtime", runtime]
        self.console = started(self._start(programs / "local-stack", *ports, *options), r"console +(http://\S+)")

    def _start(self, program: pathlib.Path, *arguments: str) -> subprocess.Popen:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
        process = subprocess.Popen([program, *arguments], env=environment, **output)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate()
        self._folder.cleanup()


class Console:
    """A tab with the console. In the end it must have reported no violation of its policy, and no error of its scripts."""

    def __init__(self, browser: Browser, url: str, **options):
        self.url = url
        self.faults = []
        self._context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "dark", **options})
        self._context.expose_function("reportViolation", lambda text: self.faults.append(f"policy: {text}"))
        self._context.add_init_script(
            "document.addEventListener('securitypolicyviolation',"
            " ({violatedDirective, blockedURI}) => reportViolation(`${violatedDirective} ${blockedURI}`))")
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))

    def open(self, view: str = "new", key: str | None = KEY) -> Page:
        """Opens a view, with the key in place."""
        if key is not None:
            name = "'darkroom-api-key ' + location.pathname.replace(/console$/, '')"
            self._context.add_init_script(f"sessionStorage.setItem({name}, '{key}')")
        self.page.goto(f"{self.url}#/{view}")
        return self.page

    def close(self) -> None:
        self._context.close()


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program(), args=["--no-proxy-server"])
        try:
            yield browser
        finally:
            browser.close()
