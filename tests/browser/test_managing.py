"""What is done on the page with conversations, messages and tasks."""

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

from playwright.async_api import expect
from tests.browser.guest import Guest, Window
from tests.browser.slow_model import done, opinion

TEA, MILK = "What about tea?", "Add task: Buy milk"


async def talk(guest: Guest, *messages: str) -> Window:
    """A window with a conversation in it."""
    window = await guest.open()
    shown: list[str] = []
    for message in messages:
        await window.say(message)
        reply = done(message[10:]) if message.startswith("Add task") else opinion(message)
        shown += [message, reply]
        await window.shows(*shown)
    return window


async def test_a_search_leads_to_the_message_that_was_found(guest: Guest) -> None:
    elsewhere = await guest.api("POST", "/chat", json={"message": "What about zebras?"})
    # Long enough ago that the message is not on the first page.
    body = {"conversation_id": elsewhere["conversation_id"]}
    for number in range(30):
        await guest.api("POST", "/chat", json=body | {"message": f"Say: {number}"})
    window = await talk(guest, TEA)
    await window.page.get_by_label("Search messages, conversations and tasks").fill("zebra")
    hits = window.page.locator(".found a")
    await expect(hits.first).to_be_visible()
    await expect(hits.first.locator("mark").first).to_have_text(re.compile("zebra", re.IGNORECASE))
    # Its title and the reply have the word as well.
    await hits.filter(has_not_text="Title").filter(has_not_text="You said").click()
    await expect(window.page.locator(".messages")).to_contain_text("What about zebras?")
    target = window.page.locator("article:focus")
    await expect(target).to_be_in_viewport()
    await expect(target).to_contain_text("zebras")
    assert window.conversation_id == elsewhere["conversation_id"]


async def test_a_search_without_a_hit_says_so_and_is_left_by_escape(guest: Guest) -> None:
    window = await talk(guest, TEA)
    field = window.page.get_by_label("Search messages, conversations and tasks")
    await field.fill("xyzzy")
    await expect(window.page.get_by_text("Nothing was found.")).to_be_visible()
    await field.press("Escape")
    await expect(window.page.locator(".conversations a")).to_have_count(1)


async def test_a_task_that_was_found_is_brought_into_view(guest: Guest) -> None:
    for title in ("Buy milk", "Water the plants"):
        await guest.api("POST", "/tasks", json={"title": title})
    window = await guest.open()
    await window.page.get_by_label("Search messages, conversations and tasks").fill("plants")
    await window.page.locator(".found a").click()
    await expect(window.button("Edit Water the plants")).to_be_focused()


async def test_an_export_is_saved_as_a_file(guest: Guest, tmp_path: Path) -> None:
    window = await talk(guest, MILK)
    for format_, beginning in (("Markdown to", "#"), ("JSON lines", '{"type":"export"')):
        await window.menu("Export")
        async with window.page.expect_download() as download:
            await window.page.get_by_role("dialog").get_by_text(format_).click()
        saved = tmp_path / (await download.value).suggested_filename
        await (await download.value).save_as(saved)
        content = saved.read_text(encoding="utf-8")
        assert content.startswith(beginning)
        assert "Buy milk" in content
    await window.button("Account").click()
    await window.page.locator("#menu-account").get_by_text("Export everything").click()
    async with window.page.expect_download() as download:
        await window.page.get_by_role("dialog").get_by_text("JSON one").click()
    saved = tmp_path / "all.json"
    await (await download.value).save_as(saved)
    assert json.loads(saved.read_text(encoding="utf-8"))["complete"] is True


async def test_a_link_shows_the_conversation_to_somebody_who_is_not_signed_in(
    guest: Guest,
) -> None:
    window = await talk(guest, MILK)
    await window.menu("Share")
    dialog = window.page.get_by_role("dialog")
    await dialog.get_by_label("Show tool calls as well").check()
    await window.button("Make a link", within=dialog).click()
    await window.button("Copy", within=dialog).click()
    address = await window.clipboard()
    reader = Window(await guest.context.new_page())
    await reader.page.goto(address)
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text(MILK)
    await expect(reader.page.locator("article .text")).to_have_text([MILK, done("Buy milk")])
    await expect(reader.tools).to_contain_text("Add task")
    await expect(reader.page.get_by_label("Message", exact=True)).to_have_count(0)
    await window.button("Revoke", within=dialog).click()
    await expect(dialog.get_by_text("good link")).to_have_count(0)
    await reader.page.reload()
    await expect(reader.page.get_by_role("alert")).to_contain_text("This link shows nothing")
    assert reader.problems == []


async def test_a_conversation_is_renamed_archived_ended_and_deleted(guest: Guest) -> None:
    window = await talk(guest, TEA)
    rows = window.page.locator(".conversations a .title")
    await window.menu("Rename")
    await window.page.get_by_label("Title").fill("About tea")
    await window.button("Rename", within=window.page.get_by_role("dialog")).click()
    await expect(rows).to_have_text(["About tea"])
    await expect(window.page.get_by_role("heading", level=1)).to_have_text("About tea")
    await expect(window.page).to_have_title("About tea · taskchat")
    await window.menu("Archive")
    await expect(rows).to_have_count(0)
    await window.button("Archived").click()
    await expect(rows).to_have_text(["About tea"])
    await window.button("Back").click()
    await window.menu("Take out of the archive")
    await expect(rows).to_have_text(["About tea"])
    await window.menu("End")
    await window.button("End it").click()
    await expect(window.page.get_by_text("This conversation has ended.")).to_be_visible()
    await expect(window.field).to_have_count(0)
    await window.menu("Delete")
    dialog = window.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("“About tea” is deleted for good")
    await window.button("Delete", within=dialog).click()
    await expect(rows).to_have_count(0)
    await expect(window.page.get_by_text("What should be on your list?")).to_be_visible()
    assert (await guest.api("GET", "/conversations"))["data"] == []


async def rating(guest: Guest, conversation_id: str) -> Any:
    """What the user thinks of the last reply."""
    page = await guest.api("GET", f"/conversations/{conversation_id}/messages")
    return page["data"][-1]["rating"]


async def test_a_reply_is_rated_and_the_reason_told(guest: Guest) -> None:
    window = await talk(guest, TEA)
    good, bad = window.button("Good reply"), window.button("Bad reply")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "true")
    assert (await rating(guest, window.conversation_id))["value"] == "up"
    await bad.click()
    await expect(good).to_have_attribute("aria-pressed", "false")
    await window.button("Say why").click()
    await window.page.get_by_label("Your comment").fill("Too long.")
    await window.button("Send", within=window.page.get_by_role("dialog")).click()
    await expect(window.toast).to_have_text("Thank you.")
    told = await rating(guest, window.conversation_id)
    assert (told["value"], told["comment"]) == ("down", "Too long.")
    await window.page.reload()
    await guest.sign_in(window)
    await expect(bad).to_have_attribute("aria-pressed", "true")
    await bad.click()
    await expect(bad).to_have_attribute("aria-pressed", "false")
    assert await rating(guest, window.conversation_id) is None


async def test_another_reply_and_another_wording_are_branches_to_go_back_to(guest: Guest) -> None:
    window = await talk(guest, TEA, "What about milk?")
    first = window.turns.first
    await window.button("Another reply", within=first).click()
    await window.shows(TEA, opinion(TEA))
    await expect(first.locator(".versions")).to_have_text(re.compile(r"2 / 2"))
    await window.button("The version before", within=first).click()
    await window.shows(TEA, opinion(TEA), "What about milk?", opinion("What about milk?"))
    last = window.turns.last
    await window.button("Edit this message", within=last).click()
    await window.page.get_by_label("Another wording").fill("What about bread?")
    await window.button("Send", within=last).click()
    await window.shows(TEA, opinion(TEA), "What about bread?", opinion("What about bread?"))
    versions = window.turns.last.locator(".message.user .versions")
    await expect(versions).to_have_text(re.compile(r"2 / 2"))
    await window.button("The version before", within=versions).click()
    await window.shows(TEA, opinion(TEA), "What about milk?", opinion("What about milk?"))


async def test_a_message_copied_as_curl_does_the_same_again(guest: Guest) -> None:
    window = await talk(guest, MILK)
    await window.button("Copy as curl", within=window.page.locator(".message.user")).click()
    await expect(window.toast).to_have_text("The command is copied, with your token in it.")
    answer = await output_of(await window.clipboard())
    assert answer["tool_calls"][0]["result"]["title"] == "Buy milk"
    assert answer["conversation_id"] == window.conversation_id
    await expect(window.turns).to_have_count(2)
    await window.button("Copy as curl", within=window.page.locator(".assistant").first).click()
    turn = await output_of(await window.clipboard())
    assert (turn["number"], turn["reply"]) == (1, done("Buy milk"))


async def output_of(command: str) -> Any:
    """What a copied command answers."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command.replace("\\\n", " ")), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return json.loads(out)


async def test_what_a_turn_did_and_cost_is_told(guest: Guest) -> None:
    window = await talk(guest, MILK)
    await window.button("What this turn did and cost").click()
    facts = window.page.get_by_role("dialog")
    await expect(facts).to_contain_text("completed")
    await expect(facts).to_contain_text("slow")
    await expect(facts).to_contain_text("20 in, 10 out")
    await window.page.keyboard.press("Escape")
    await expect(facts).to_have_count(0)


async def test_tasks_are_added_finished_edited_and_deleted_by_hand(guest: Guest) -> None:
    window = await guest.open()
    for title in ("Buy milk", "Buy eggs"):
        await window.page.get_by_label("New task").fill(title)
        await window.page.get_by_label("New task").press("Enter")
    await expect(window.tasks).to_have_text(["1 Buy milk", "2 Buy eggs"])
    await window.page.get_by_label("Done: Buy milk").check()
    await window.button("Open", within=window.page.locator(".filters")).click()
    await expect(window.tasks).to_have_text(["2 Buy eggs"])
    await window.button("Done", within=window.page.locator(".filters")).click()
    await expect(window.tasks).to_have_text(["1 Buy milk"])
    await window.button("All", within=window.page.locator(".filters")).click()
    await window.button("Edit Buy eggs").click()
    await window.page.get_by_label("Title").fill("Buy six eggs")
    await window.page.get_by_label("Description").fill("brown ones")
    await window.button("Save").click()
    await expect(window.tasks).to_have_text(["1 Buy milk", "2 Buy six eggs"])
    await expect(window.button("Edit Buy six eggs")).to_be_focused()
    await window.button("Delete Buy milk").click()
    await expect(window.tasks).to_have_text(["2 Buy six eggs"])
    [task] = (await guest.api("GET", "/tasks"))["data"]
    assert (task["title"], task["description"]) == ("Buy six eggs", "brown ones")


async def test_a_task_that_is_refused_says_why_and_is_given_back(guest: Guest) -> None:
    window = await guest.open()
    field = window.page.get_by_label("New task")
    await field.fill("\u200b")
    await field.press("Enter")
    await expect(window.page.get_by_role("alert").locator("p")).to_contain_text("title")
    await expect(field).to_have_value("\u200b")


async def test_a_long_conversation_is_read_page_by_page_without_moving(guest: Guest) -> None:
    first = await guest.api("POST", "/chat", json={"message": "Say: 0"})
    body = {"conversation_id": first["conversation_id"]}
    for number in range(1, 40):
        await guest.api("POST", "/chat", json=body | {"message": f"Say: {number}"})
    window = await guest.open(f"#/c/{first['conversation_id']}")
    await expect(window.turns).to_have_count(25)
    await expect(window.turns.last).to_be_in_viewport()
    top = window.turns.first
    await top.scroll_into_view_if_needed()
    before = await top.inner_text()
    await window.button("Show earlier messages").click()
    await expect(window.turns).to_have_count(40)
    seen = window.turns.filter(has_text=before.splitlines()[0]).first
    await expect(seen).to_be_in_viewport()
    assert await guest.history(first["conversation_id"]) == await window.messages.all_inner_texts()
