"""The page for everybody: with a screen reader, without a mouse, at 400 % zoom, without motion."""

import asyncio
import json
import os
from typing import Literal

import pytest
from playwright.async_api import Page, ViewportSize, expect
from tests.browser.guest import Guest, Window
from tests.browser.slow_model import SlowModel, done, half, opinion
from tests.browser.states import DESKTOP, PHONE, SCENES, WALKS, Walk
from tests.clients import node

pytestmark = pytest.mark.long

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

CROSSED = "ACCESS_CROSSED" in os.environ
"""Whether each window is looked at in either scheme, by `make access`; else each in one of them, by
all rules, and so either scheme in one window."""

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
            # What a scheme changes is colours.
            only = None if (name == "desktop") == (scheme == "light") else "color-contrast"
            if only and name != "zoomed" and not CROSSED:
                continue
            await page.set_viewport_size(viewport)
            # Half-way from one colour to the other is neither.
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await settled(page)
            if name == "zoomed":
                found[f"{state}, {name}"] = await page.evaluate(CUT)
                continue
            found[f"{state}, {name}, {scheme}"] = await page.evaluate(LOOK, only)
    assert len(found) >= 3
    findings = {state: findings for state, findings in found.items() if findings}
    assert not findings, json.dumps(findings, indent=1, ensure_ascii=False)


async def settled(page: Page) -> None:
    """Wait until nothing moves but what moves for ever."""
    await page.evaluate(
        "new Promise(requestAnimationFrame).then(() => Promise.all("
        "document.getAnimations()"
        ".filter((one) => one.effect.getComputedTiming().endTime !== Infinity)"
        ".map((one) => one.finished)))"
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
        if not focused["isSeen"]:
            # What is on its way out may lie over it until it has gone.
            await settled(self.window.page)
            focused = await self.window.page.evaluate(FOCUSED)
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


async def test_a_whole_session_needs_no_mouse(guest: Guest, model: SlowModel) -> None:
    model.scenes.update(SCENES)
    window = await guest.visit()
    keys = Keys(window)
    page = window.page

    # Signing in leads to where one writes.
    await keys.reach("I have a token")
    await keys.press("Enter")
    await keys.has("Token")
    await keys.keyboard.insert_text(guest.token)
    await keys.reach("Sign in")
    await keys.press("Enter")
    await keys.has("Message")

    # Saying, steering, queueing, stopping.
    tea, coffee = "What about tea?", "What about coffee?"
    go_on = model.hold(tea)
    await keys.keyboard.insert_text(tea)
    await keys.press("Enter")
    await expect(window.draft).to_have_text(half(opinion(tea)))
    await keys.keyboard.insert_text("Say: Green.")
    await keys.press("Enter")
    await expect(page.get_by_text("Said to the running turn; not read yet")).to_be_visible()
    go_on.set()
    await window.shows(tea, "Say: Green.", "Green.")
    model.hold(coffee)
    await keys.keyboard.insert_text(coffee)
    await keys.press("Enter")
    await expect(window.draft).to_have_text(half(opinion(coffee)))
    await keys.keyboard.insert_text("Add task: Buy tea")
    await keys.press("Control+Enter")
    await expect(page.get_by_text("Waits for the turn before it.")).to_be_visible()
    await keys.reach("Stop")
    await keys.press("Space")
    await expect(window.turns.nth(1)).to_contain_text("Stopped here")
    await expect(window.tasks).to_have_text(["1 Buy tea"])
    await expect(window.draft).to_have_count(0)
    # The button is gone; the focus is not.
    await keys.has("Message")

    # What the agent asks.
    await keys.keyboard.insert_text("Ask me: Which tea? (green, black)")
    await keys.press("Enter")
    ask = page.get_by_role("form", name="The assistant asks")
    await expect(ask).to_be_visible()
    await keys.reach("black", back=True)
    await keys.press("Enter")
    await expect(page.locator(".ask.over")).to_contain_text("You answered. “black”")
    await keys.has("Message")
    for title in ("Buy cups", "Buy milk"):
        await guest.api("POST", "/tasks", json={"title": title})
    await expect(window.messages.last).to_contain_text("I have read this")
    await keys.keyboard.insert_text("Delete tasks 2 3")
    await keys.press("Enter")
    await expect(ask).to_be_visible()
    await keys.reach("Comment for the assistant", back=True)
    await keys.keyboard.insert_text("I need them.")
    # To end a comment is not to approve.
    await keys.press("Enter")
    await keys.reach("Refuse")
    await keys.press("Enter")
    await expect(page.locator(".ask.over").last).to_contain_text("You refused this. “I need them.”")
    await keys.has("Message")

    # What is done with a reply: made anew, gone back to, rated, with the reason.
    await expect(window.messages.last).to_contain_text("I have read this")
    # It is shown once the turn is over; before that, what is said is said to the turn.
    anew = window.turns.last.get_by_role("button", name="Another reply")
    await expect(anew).to_be_visible()
    await keys.keyboard.insert_text("What about cups?")
    await keys.press("Enter")
    await expect(window.messages.last).to_have_text(opinion("What about cups?"))
    await expect(anew).to_be_visible()
    await keys.reach("Another reply", back=True)
    await expect(anew).to_be_focused()
    await keys.press("Enter")
    versions = window.turns.last.locator(".versions")
    await expect(versions).to_contain_text("2 / 2")
    await expect(window.draft).to_have_count(0)
    await keys.has("Message")
    await keys.reach("The version before", back=True)
    await keys.press("Enter")
    await expect(versions).to_contain_text("1 / 2")
    await keys.has("The next version")
    await keys.press("Enter")
    await expect(versions).to_contain_text("2 / 2")
    await keys.has("The version before")
    await keys.reach("Bad reply")
    await keys.press("Enter")
    await keys.reach("Say why")
    await keys.press("Enter")
    await keys.has("Your comment")
    await keys.keyboard.insert_text("Too long.")
    await keys.reach("Send")
    await keys.press("Enter")
    await expect(window.toast).to_have_text("Thank you.")

    # A menu and its dialogs give the focus back to what opened them.
    await keys.reach("This conversation", back=True)
    for item in ("Rename", "Share", "Export"):
        await keys.press("Enter")
        await keys.reach(item)
        await keys.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        if item == "Rename":
            await keys.has("Title")
            await keys.press("Control+A")
            await keys.keyboard.insert_text("About tea")
            await keys.press("Enter")
            await expect(page.get_by_role("heading", level=1)).to_have_text("About tea")
        elif item == "Share":
            await keys.has("Close")
            await keys.press("Enter")
        else:
            await keys.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await keys.has("This conversation")

    # Searching leads to the message.
    await keys.press("Control+k")
    await keys.has("Search messages")
    await keys.keyboard.insert_text("tea")
    await expect(page.locator(".found a").first).to_be_visible()
    await keys.reach("About tea")
    await keys.press("Enter")
    await expect(page.locator("article:focus")).to_be_in_viewport()
    await keys.press("Control+k", "Escape")

    # The tasks.
    await keys.reach("New task", back=True)
    await keys.keyboard.insert_text("Buy sugar")
    await keys.press("Enter")
    await expect(window.tasks).to_have_count(4)
    await keys.has("New task")
    await keys.reach("Done: Buy tea")
    await keys.press("Space")
    await expect(page.get_by_label("Done: Buy tea")).to_be_checked()
    await keys.reach("Edit Buy cups")
    await keys.press("Enter")
    await keys.has("Title")
    await keys.press("Control+A")
    await keys.keyboard.insert_text("Buy six cups")
    await keys.press("Enter")
    await keys.has("Edit Buy six cups")
    await keys.reach("Delete Buy six cups")
    await keys.press("Enter")
    await keys.has("Edit Buy milk")

    # A new conversation.
    await keys.press("Control+Alt+n")
    await keys.has("Message")
    await expect(page.get_by_text("What should be on your list?")).to_be_visible()


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
