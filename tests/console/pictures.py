"""The screenshots of the documentation."""

import io
import pathlib

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from case import loaded
from stack import KEY, Console, Stack

SIZE = {"width": 1120, "height": 700}
PROMPTS = [
    ("a lighthouse at dusk", 768, 512), ("portrait of a fox", 512, 768), ("harbour at night", 768, 512),
    ("a street in the rain", 512, 512), ("still life with pears", 512, 512), ("morning fog over a lake", 768, 512),
    ("a red bicycle", 512, 512), ("dunes from above", 512, 768), ("tram lines in snow", 512, 512),
]


def take(browser: Browser, stack: Stack, folder: pathlib.Path) -> None:
    console = Console(browser, stack.console, viewport=SIZE)
    page = console.open()
    fill(page)
    page.get_by_label("prompt", exact=True).fill("a lighthouse at dusk, oil painting")
    for field, value in {"width": "768", "height": "512", "steps": "24", "seed": "7"}.items():
        page.locator(f"#field-{field}").fill(value)
    shot(page, folder / "console-new.png")

    page.goto(f"{stack.console}#/tasks")
    expect(page.locator(".tasks .succeeded")).to_have_count(len(PROMPTS))
    expect(page.locator(".tasks .failed")).to_have_count(1)
    expect(page.locator(".tasks progress")).to_have_count(1)
    shot(page, folder / "console-tasks.png")

    page.locator(".tasks a").filter(has_text="a-lighthouse").click()
    loaded(page, ".outputs img")
    shot(page, folder / "console-task.png")
    console.close()

    console = Console(browser, stack.console, viewport=SIZE, color_scheme="light")
    page = console.open("gallery")
    expect(page.locator(".shot .frame:not(.loading)")).to_have_count(len(PROMPTS))
    shot(page, folder / "console-gallery.png")
    console.close()


def fill(page: Page) -> None:
    """Tasks in several states."""
    for number, (prompt, width, height) in enumerate(PROMPTS):
        content = {"prompt": prompt, "width": width, "height": height, "steps": 24, "seed": 20 + number * 7}
        submit(page, "sdruntime", prompt, content)
    missing = {"prompt": "x", "init_images": ["s3://darkroom-output/none.png"]}
    submit(page, "sdruntime", "from a missing file", missing, "image-to-image")
    submit(page, "slow", "a very large one", {"prompt": "x", "width": 64, "height": 64})


def submit(page: Page, runtime: str, name: str, content: dict, kind: str = "text-to-image") -> None:
    task = {"runtime": runtime, "type": kind, "name": name.replace(" ", "-"), "content": content}
    answer = page.request.post(page.url.split("console")[0] + "v1/tasks", data=task, headers={"x-api-key": KEY})
    assert answer.status == 202, answer.text()


def shot(page: Page, path: pathlib.Path) -> None:
    page.evaluate("document.activeElement.blur()")
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    # Flat colors and grey letters need no more, and half of the bytes.
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
