"""The states in which the page can be seen, each reached as people reach it.

Each walk goes through some of them and stops in each: for what looks at all of them.
"""

from collections.abc import AsyncIterator, Callable

from playwright.async_api import ViewportSize, expect
from tests.browser.guest import Guest, Window
from tests.browser.network import Network
from tests.browser.slow_model import Scene, SlowModel, half

from taskchat.moments import new_id

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

DINNER = "Six people come for dinner on Saturday. Put what I have to do on my list."
LIST = "What is left?"
RISOTTO = "How do I cook the risotto?"
CLEAN = "Take off what is done"
WINE = "Find me a wine for it"
GUESTS = "What should I write to the guests?"

TITLES = ("Buy rice, saffron and parmesan", "Order flowers", "Ask Ana to bring dessert")

SCENES = {
    DINNER: Scene(
        "Three things are on your list now:\n\n"
        f"1. **{TITLES[0]}**, on Friday at the latest\n2. **{TITLES[1]}**\n"
        f"3. **{TITLES[2]}**: she offered to\n\n"
        "Shall I remind you of anything else, such as the wine or candles?",
        [
            ("add_task", {"title": TITLES[0], "description": "Carnaroli, 600 g"}),
            ("add_task", {"title": TITLES[1]}),
            ("add_task", {"title": TITLES[2]}),
        ],
    ),
    LIST: Scene(
        "The flowers are ordered, so **two things** are left: the shopping, and the dessert.",
        [("complete_task", {"task_id": 2}), ("list_tasks", {"status": "pending"})],
    ),
    RISOTTO: Scene(
        "### Risotto alla milanese\n\n"
        + "\n".join(
            f"{number}. {step}"
            for number, step in enumerate(
                (
                    "Warm the stock.",
                    "Chop an onion.",
                    "Melt the butter.",
                    "Soften the onion in it.",
                    "Stir in the rice.",
                    "Add a glass of wine.",
                    "Add a ladle of stock, and stir until it is gone.",
                    "Repeat that for 16 minutes.",
                    "Dissolve the saffron in some stock.",
                    "Stir it in.",
                    "Take the pan from the fire.",
                    "Beat in the parmesan.",
                ),
                1,
            )
        )
        + "\n\n> It should flow when the plate is tilted.\n\n"
        "| for | rice | stock |\n| --- | --- | --- |\n"
        "| 4 | 320 g | 1.2 l |\n| 6 | 480 g | 1.8 l |\n\n"
        "- [x] rice\n- [ ] saffron\n\n"
        "```text\n480 g Carnaroli · 1.8 l stock · 0.3 g saffron · 120 g butter · cheese\n```\n\n"
        "More is at [a page about rice](https://example.org/rice), and `stir` is the word to "
        "remember.",
    ),
    CLEAN: Scene("Done.", [("delete_task", {"task_id": 2}), ("delete_task", {"task_id": 3})]),
    WINE: Scene(
        "A white one it is.",
        [("ask_user", {"question": "Which wine goes with it?", "choices": ["white", "red"]})],
    ),
    GUESTS: Scene(
        "Perhaps this: dinner is at eight on Saturday, bring nothing but an appetite, and tell me "
        "by Thursday what you do not eat, so that nobody goes home hungry."
    ),
}

Walk = Callable[[Guest, SlowModel], AsyncIterator[tuple[str, Window]]]


async def talking(guest: Guest, model: SlowModel) -> AsyncIterator[tuple[str, Window]]:
    """A conversation: text, tool calls, and what can be done with messages."""
    window = await guest.open()
    await expect(window.page.get_by_text("What should be on your list?")).to_be_visible()
    yield "empty", window
    go_on = model.hold(DINNER)
    await window.say(DINNER)
    await expect(window.draft).to_contain_text("Order flowers")
    await expect(window.tasks).to_have_count(3)
    yield "mid-stream", window
    go_on.set()
    await expect(window.draft).to_have_count(0)
    await window.say(LIST)
    await expect(window.messages.last).to_contain_text("two things are left")
    await expect(window.page.get_by_label(f"Done: {TITLES[1]}")).to_be_checked()
    await window.tools.nth(3).locator("summary").click()
    yield "tool-calls", window
    await window.say(RISOTTO)
    await expect(window.messages.last).to_contain_text("the word to remember")
    yield "markdown", window
    last = window.turns.last
    await window.button("Edit this message", within=last).click()
    yield "rewording", window
    await window.page.get_by_label("Another wording").press("Escape")
    await window.button("Another reply", within=last).click()
    await expect(window.turns.last.locator(".versions")).to_contain_text("2 / 2")
    yield "versions", window
    await window.button("Bad reply", within=window.turns.last).click()
    await expect(window.toast).to_have_text("Thank you.")
    yield "toast", window
    await window.button("Say why").click()
    await expect(window.page.get_by_label("Your comment")).to_be_visible()
    yield "comment", window
    await window.page.keyboard.press("Escape")
    await window.button("What this turn did and cost", within=window.turns.last).click()
    await expect(window.page.get_by_role("dialog")).to_be_visible()
    yield "details", window


async def asking(guest: Guest, model: SlowModel) -> AsyncIterator[tuple[str, Window]]:
    """What the agent asks, what is said while it works, and what goes wrong."""
    window = await guest.open()
    await window.say(DINNER)
    await expect(window.tasks).to_have_count(3)
    await window.say(CLEAN)
    ask = window.page.get_by_role("form", name="The assistant asks")
    await expect(ask).to_be_visible()
    yield "approval", window
    await window.button("Change it first").click()
    yield "approval-changed", window
    await ask.get_by_label("Comment for the assistant").fill("Keep both.")
    await window.button("Refuse", within=ask).click()
    await expect(ask).to_have_count(0)
    await window.say(WINE)
    await expect(ask).to_contain_text("Which wine goes with it?")
    yield "question", window
    await window.button("white", within=ask).click()
    await expect(ask).to_have_count(0)
    await expect(window.messages.last).to_contain_text("A white one")
    model.hold(GUESTS)
    await window.say(GUESTS)
    await expect(window.draft).to_contain_text(half(SCENES[GUESTS].reply or ""))
    await window.field.fill(LIST)
    await window.button("Queue").click()
    await expect(window.page.get_by_text("Waits for the turn before it.")).to_be_visible()
    yield "queued", window
    await window.button("Withdraw").click()
    await window.button("Stop").click()
    await expect(window.page.get_by_text("Stopped here")).to_be_visible()
    yield "stopped", window
    model.refused.add(LIST)
    await window.say(LIST)
    await expect(window.page.get_by_role("group", name="This failed")).to_be_visible()
    yield "error", window
    model.refused.clear()


async def managing(guest: Guest, model: SlowModel) -> AsyncIterator[tuple[str, Window]]:
    """Searching, menus, dialogs, the lists at the sides, and places where there is nothing."""
    for message in (GUESTS, RISOTTO, DINNER):
        talk = await guest.api("POST", "/chat", json={"message": message})
    window = await guest.open(f"#/c/{talk['conversation_id']}")
    await expect(window.tasks).to_have_count(3)
    search = window.page.get_by_label("Search messages, conversations and tasks")
    await search.fill("rice")
    await expect(window.page.locator(".found a").first).to_be_visible()
    yield "search", window
    await search.fill("xyzzy")
    await expect(window.page.get_by_text("Nothing was found.")).to_be_visible()
    yield "search-nothing", window
    await search.press("Escape")
    await window.button("Archived").click()
    await expect(window.page.get_by_text("Nothing is archived.")).to_be_visible()
    yield "archived", window
    await window.button("Back").click()
    await window.button(f"Edit {TITLES[0]}").click()
    yield "task", window
    await window.page.get_by_label("Title").press("Escape")
    await window.button("This conversation").click()
    yield "menu", window
    await window.page.keyboard.press("Escape")
    await window.button("Account").click()
    yield "account", window
    await window.page.locator("#menu-account").get_by_text("Keyboard").click()
    yield "keys", window
    await window.page.keyboard.press("Escape")
    for item in ("Rename", "Export", "End", "Delete"):
        await window.menu(item)
        yield item.lower(), window
        await window.page.keyboard.press("Escape")
    await window.menu("Share")
    dialog = window.page.get_by_role("dialog")
    await window.button("Make a link", within=dialog).click()
    await expect(dialog.get_by_text("1 good link")).to_be_visible()
    yield "share", window
    address = await dialog.get_by_label("Copy it now").input_value()
    await window.page.keyboard.press("Escape")
    for panel in ("Conversations", "Tasks, 3 open"):
        await window.page.set_viewport_size(PHONE)
        await window.button(panel).click()
        yield f"panel-{panel.split(',')[0].lower()}", window
        await window.page.set_viewport_size(PHONE)
        await window.page.keyboard.press("Escape")
    await window.page.set_viewport_size(DESKTOP)
    await window.menu("End")
    await window.button("End it").click()
    await expect(window.page.get_by_text("This conversation has ended.")).to_be_visible()
    yield "ended", window
    await window.page.evaluate("(hash) => (location.hash = hash)", f"#/c/{new_id()}")
    await expect(window.page.get_by_text("There is no such conversation")).to_be_visible()
    yield "missing", window
    await window.page.goto(address)
    await expect(window.page.locator("article")).to_have_count(2)
    yield "link", window
    await window.page.goto(f"{address}x")
    await expect(window.page.get_by_role("alert")).to_be_visible()
    yield "link-of-nothing", window


async def signing_in(guest: Guest, model: SlowModel) -> AsyncIterator[tuple[str, Window]]:
    """Before anybody is signed in."""
    window = await guest.visit()
    await expect(window.page.get_by_label("Password")).to_be_visible()
    yield "login", window
    await window.button("I have a token").click()
    await window.page.get_by_label("Token").fill("not a token")
    await window.button("Sign in").click()
    await expect(window.page.get_by_role("alert").first).to_contain_text("This is no token.")
    yield "token", window


async def offline(guest: Guest, model: SlowModel) -> AsyncIterator[tuple[str, Window]]:
    """While the service is away."""
    async with Network(str(guest.client.base_url)) as network:
        window = await guest.open(service=network.url)
        await window.say(DINNER)
        await expect(window.messages.last).to_contain_text("anything else")
        await network.cut()
        await expect(window.page.locator(".line.offline")).to_be_visible()
        await window.say(GUESTS)
        await expect(window.page.locator(".message.waiting")).to_be_visible()
        yield "offline", window
        await network.restore()
        await expect(window.page.locator(".line.offline")).to_have_count(0)
        await expect(window.messages.last).to_contain_text("goes home hungry")


WALKS: tuple[Walk, ...] = (talking, asking, managing, signing_in, offline)
