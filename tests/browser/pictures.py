"""The pictures of the page in `docs/pictures`. `make pictures` makes them anew.

They are made by a test, since it needs the same browser, service and model; its file's name keeps
it from being found as one.
"""

import os
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.async_api import Browser
from tests.browser.guest import Guest, Window
from tests.browser.png import with_palette
from tests.browser.slow_model import SlowModel
from tests.browser.states import (
    DESKTOP,
    PHONE,
    SCENES,
    Walk,
    asking,
    managing,
    offline,
    talking,
)
from tests.factories import Person

from taskchat.page.routes import page_document, page_files

FOLDER = Path("docs/pictures")

OF_ASSETS = FOLDER / "of-assets.txt"
"""Names what the page consisted of when its pictures were made."""

STATES = ("empty", "mid-stream", "tool-calls", "approval", "search", "error", "offline")

SIZES = {"desktop": DESKTOP, "phone": PHONE}

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

NAMES = [f"{state}-{size}-{scheme}.png" for state in STATES for size in SIZES for scheme in SCHEMES]

PEOPLE: dict[Walk, str] = {talking: "ida", asking: "ben", managing: "mia", offline: "leo"}

STILL = """
// The same pictures at any time of any day: it is a morning in June.
const Real = Date;
const shift = Real.UTC(2026, 5, 4, 9, 41) - Real.now();
window.Date = class extends Real {
  constructor(...given) {
    const [first] = given;
    if (given.length === 1 && typeof first !== "string") super(first);
    else super(new Real(...given).getTime() + shift);
  }
  static now() { return Real.now() + shift; }
  static parse(text) { return Real.parse(text) + shift; }
};
"""


def assets_digest() -> str:
    """Names what the page consists of: all that its document names, and the document."""
    return page_document(page_files(), {}).etag.strip('"')


@pytest.mark.parametrize("walk", PEOPLE)
async def test_pictures_are_made(
    browser: Browser, page_service: str, model: SlowModel, project: Path, walk: Walk
) -> None:
    model.scenes.update(SCENES)
    # TASKCHAT_… would be taken for a setting. With a folder of one's own, every state is seen.
    given = os.environ.get("PICTURES")
    folder = Path(given) if given else project / FOLDER
    folder.mkdir(exist_ok=True)
    context = await browser.new_context(
        viewport=DESKTOP, locale="en-GB", timezone_id="UTC", reduced_motion="reduce"
    )
    await context.add_init_script(STILL)
    try:
        async with httpx.AsyncClient(base_url=page_service, timeout=30) as client:
            async for state, window in walk(Guest(Person(PEOPLE[walk]), context, client), model):
                if given or state in STATES:
                    await take_pictures(window, folder, state)
    finally:
        await context.close()
        model.let_go()
    if not given:
        (project / OF_ASSETS).write_text(f"{assets_digest()}\n", encoding="ascii")


async def take_pictures(window: Window, folder: Path, state: str) -> None:
    """Take a state at each size, in each scheme."""
    for size, viewport in SIZES.items():
        await window.page.set_viewport_size(viewport)
        await window.page.mouse.move(0, 0)
        for scheme in SCHEMES:
            await window.page.emulate_media(color_scheme=scheme)
            picture = await window.page.screenshot(animations="disabled", caret="hide")
            (folder / f"{state}-{size}-{scheme}.png").write_bytes(with_palette(picture))
    await window.page.set_viewport_size(DESKTOP)
    await window.page.emulate_media(color_scheme="light")
