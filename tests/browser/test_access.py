"""The page for everybody: with a screen reader, without a mouse, at 400 % zoom, without motion."""

import asyncio
import json
from typing import Literal

import pytest
from playwright.async_api import Page, ViewportSize, expect
from tests.browser.guest import Guest, Window
from tests.browser.slow_model import SlowModel, done, half, opinion
from tests.browser.states import DESKTOP, PHONE, SCENES, WALKS, Walk
from tests.clients import node

ZOOMED: ViewportSize = {"width": 320, "height": 256}
"""A window of 1280 by 1024 at 400 %, as WCAG 1.4.10 has it."""

VIEWS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    # What lies over the rest on a phone does not on a desktop: that comes last.
    ("phone", PHONE, "light"),
    ("phone", PHONE, "dark"),
    ("zoomed", ZOOMED, "light"),
    ("desktop", DESKTOP, "dark"),
    ("desktop", DESKTOP, "light"),
)

LOOK = """
async (only) => {
  const rules = only ? { runOnly: { type: "rule", values: [only] } }
    : { rules: { "target-size": { enabled: true } } };
  const { violations } = await axe.run(document, { ...rules, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
}
"""

CUT = """
() => {
  const width = document.documentElement.clientWidth;
  const found = [];
  const tell = (what, element) =>
    found.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  if (document.scrollingElement.scrollWidth > width) tell("scrolls sideways", document.body);
  const scrolls = (element) => element && element !== document.body &&
    (["auto", "scroll"].includes(getComputedStyle(element).overflowX) && element.tabIndex === 0
      || scrolls(element.parentElement));
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: false })) continue;
    if (element.closest(".unseen, .skip, svg, [popover]:not(:popover-open)")) continue;
    const { left, right, width: own, height } = element.getBoundingClientRect();
    if (!own || !height) continue;
    if ((left < -1 || right > width + 1) && !scrolls(element)) tell("outside", element);
    const style = getComputedStyle(element);
    const hidden = (direction) => ["hidden", "clip"].includes(style[direction]);
    const { clientWidth, clientHeight, scrollWidth, scrollHeight } = element;
    if (element.matches("input, textarea, select")) continue;
    if (hidden("overflowX") && scrollWidth > clientWidth + 1) tell("cut", element);
    if (hidden("overflowY") && scrollHeight > clientHeight + 1) tell("cut below", element);
  }
  return found;
}
"""
"""What can't be read without scrolling sideways; what scrolls by itself, by keyboard too, may."""


@pytest.fixture(scope="session")
def axe() -> str:
    """The checks of axe-core, as a script."""
    return (node.install() / "axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("walk", WALKS)
async def test_axe_finds_nothing_in_any_state_and_nothing_is_cut_at_400_percent(
    guest: Guest, model: SlowModel, axe: str, walk: Walk
) -> None:
    model.scenes.update(SCENES)
    # The page's own policy would not let it in later.
    await guest.context.add_init_script(axe)
    found: dict[str, list[str]] = {}
    async for state, window in walk(guest, model):
        page = window.page
        for name, viewport, scheme in VIEWS:
            await page.set_viewport_size(viewport)
            await page.emulate_media(color_scheme=scheme)
            await settled(page)
            if name == "zoomed":
                found[f"{state}, {name}"] = await page.evaluate(CUT)
                continue
            # What a scheme changes is colours.
            only = None if (name == "desktop") == (scheme == "light") else "color-contrast"
            found[f"{state}, {name}, {scheme}"] = await page.evaluate(LOOK, only)
    assert len(found) >= 5
    findings = {state: findings for state, findings in found.items() if findings}
    assert not findings, json.dumps(findings, indent=1, ensure_ascii=False)


async def settled(page: Page) -> None:
    """Wait until nothing moves but what moves for ever."""
    await page.evaluate(
        "Promise.all(document.getAnimations().filter((one) => "
        "one.effect.getComputedTiming().endTime !== Infinity).map((one) => one.finished))"
        ".catch(() => null)"
    )


FOCUSED = """
() => {
  const element = document.activeElement;
  const style = getComputedStyle(element.closest(".composer") ?? element);
  const { top, left, width, height } = element.getBoundingClientRect();
  const within = (place, end) => Math.min(Math.max(place, 1), end - 1);
  const isThere = (share) => {
    const seen = document.elementFromPoint(
      within(left + width * share, innerWidth), within(top + height / 2, innerHeight));
    return element.contains(seen) || Boolean(seen?.contains(element));
  };
  const name = element.ariaLabel || element.labels?.[0]?.innerText || element.innerText || "";
  return {
    name: name.replace(/\\s+/g, " ").trim(),
    isPage: element === document.body || element === document.documentElement,
    isMarked: element.matches(":focus-visible")
      && (style.outlineStyle !== "none" || style.boxShadow !== "none"),
    isSeen: [0.1, 0.5, 0.9].some(isThere),
  };
}
"""


class Keys:
    """Somebody who has no mouse."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.keyboard = window.page.keyboard

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            await self.keyboard.press(key)

    async def focused(self) -> str:
        """What has the focus; it must be marked, and not lie under something else."""
        focused = await self.window.page.evaluate(FOCUSED)
        if focused["isPage"]:
            return ""
        assert focused["isMarked"], focused
        assert focused["isSeen"], focused
        return str(focused["name"])

    async def reach(self, beginning: str, *, back: bool = False) -> None:
        """Go on by Tab until something of that name has the focus."""
        passed = []
        for _ in range(150):
            await self.press("Shift+Tab" if back else "Tab")
            passed.append(await self.focused())
            if passed[-1].startswith(beginning):
                return
        pytest.fail(f"{beginning} is not reached by Tab: {passed}")

    async def has(self, beginning: str) -> None:
        """Wait until something of that name has the focus by itself."""
        for _ in range(300):
            if (await self.focused()).startswith(beginning):
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{beginning} has not the focus, but {await self.focused()}")


async def test_the_panels_of_a_phone_hold_the_focus_and_give_it_back(guest: Guest) -> None:
    window = await guest.open()
    await window.page.set_viewport_size(PHONE)
    await window.page.emulate_media(reduced_motion="reduce")
    keys = Keys(window)
    for panel, inside in (
        ("Conversations", "Close the conversations"),
        ("Tasks", "Close the tasks"),
    ):
        await keys.reach(panel, back=panel == "Conversations")
        await keys.press("Enter")
        await keys.has(inside)
        passed = set()
        for _ in range(12):
            await keys.press("Tab")
            passed.add(await keys.focused())
        assert inside in passed
        assert "Message" not in passed
        await keys.press("Escape")
        await keys.has(panel)
    # With room for all of them, none is over the others.
    await keys.press("Enter")
    await window.page.set_viewport_size(DESKTOP)
    await window.field.click()


async def test_nothing_moves_where_no_motion_is_wanted(guest: Guest, model: SlowModel) -> None:
    said = "What about tea?"
    model.hold(said)
    window = await guest.open()
    moving = "document.getAnimations().length"
    await window.say(said)
    await expect(window.draft).to_have_text(half(opinion(said)))
    assert await window.page.evaluate(moving)
    await window.page.emulate_media(reduced_motion="reduce")
    assert not await window.page.evaluate(moving)


async def test_what_happens_is_told_to_screen_readers_once(guest: Guest, model: SlowModel) -> None:
    window = await guest.open()
    await window.page.evaluate(
        """() => {
          window.told = [];
          const spoken = document.getElementById("spoken");
          new MutationObserver(() => told.push(spoken.textContent))
            .observe(spoken, { childList: true, characterData: true, subtree: true });
        }"""
    )
    await window.say("Add task: Buy tea")
    await expect(window.messages.last).to_contain_text("is on your list now")
    await expect(window.draft).to_have_count(0)
    told = [text for text in await window.page.evaluate("told") if text]
    assert told[-1] == f"Assistant: {done('Buy tea')}"
    assert len(told) == len(set(told))
    for region in await window.page.locator("[aria-live], [role=status], [role=alert]").all():
        assert await region.get_attribute("aria-live") in {None, "polite"}
