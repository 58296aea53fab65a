"""A page of plain JavaScript in a real browser, a real service, and all that is between them."""

import asyncio
from itertools import groupby

from tests.browser.conftest import Services
from tests.browser.network import Network
from tests.browser.slow_model import SlowModel, done, half, opinion
from tests.browser.stage import Tab, Visitor
from tests.faults.waiting import until

OFFLINE_S = 5.0
"""Long enough for whole turns, and for several attempts to connect."""


async def assert_page_is_the_record(visitor: Visitor, tab: Tab, *, turns: int) -> None:
    """The page shows what is stored, once and in order, and took each event once and in order."""

    async def are_over() -> bool:
        return sum(event.ends_turn for event in tab.seen) >= turns

    await until(are_over, what="the end of every turn")
    shown = await tab.messages()
    assert shown == await visitor.history(tab.conversation_id)
    assert len(shown) == 2 * turns
    by_turn = sorted(tab.seen, key=lambda event: event.turn_id)
    for turn_id, seen in groupby(by_turn, lambda event: event.turn_id):
        told = await visitor.log_of(turn_id)
        assert list(seen) == told
        assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert tab.problems == []


async def test_a_reply_is_shown_while_it_is_made_and_is_the_stored_one_in_the_end(
    visitor: Visitor, model: SlowModel
) -> None:
    said, reply = "Add task: Buy milk", done("Buy milk")
    go_on = model.hold(said)
    tab = await visitor.open()
    await tab.status("online")
    await tab.say(said)
    assert await tab.draft(half(reply)) == half(reply)
    go_on.set()
    await tab.shows(reply)
    await assert_page_is_the_record(visitor, tab, turns=1)
    chunks = [event for event in tab.seen if event.type == "stream_chunk"]
    assert len(chunks) > 2
    user_id = visitor.person.user_id
    tasks = await visitor.client.get(f"/api/{user_id}/tasks", headers=visitor.person.headers)
    assert [task["title"] for task in tasks.json()["data"]] == ["Buy milk"]


async def test_a_page_that_is_loaded_again_shows_the_conversation_and_the_turn_under_way(
    visitor: Visitor, model: SlowModel
) -> None:
    go_on = model.hold("What about tea?")
    tab = await visitor.open()
    await tab.say("What about <b>coffee</b> & cake? ☕")
    await tab.shows(opinion("What about <b>coffee</b> & cake? ☕"))
    await tab.say("What about tea?")
    made = half(opinion("What about tea?"))
    await tab.draft(made)
    tab.seen.clear()
    await tab.page.reload()
    assert await tab.draft(made) == made
    go_on.set()
    await tab.shows(opinion("What about tea?"))

    async def is_over() -> bool:
        return any(event.ends_turn for event in tab.seen)

    await until(is_over)
    assert await tab.messages() == await visitor.history(tab.conversation_id)
    assert [event.seq for event in tab.seen] == list(range(1, len(tab.seen) + 1))
    assert tab.problems == []


async def test_a_page_that_was_offline_for_five_seconds_comes_back_complete(
    visitor: Visitor, model: SlowModel
) -> None:
    first, second = "What about milk?", "What about bread?"
    by_post, by_stream = "What about cheese?", "What about wine?"
    typed_offline = "What about water?"
    answer_first, answer_by_stream = model.hold(first), model.hold(by_stream)
    chat_path, headers = visitor.person.chat_path, visitor.person.headers
    async with Network(str(visitor.client.base_url)) as network:
        tab = await visitor.open(service=network.url)
        await tab.say(first)
        await tab.draft(half(opinion(first)))
        # Behind a turn that is under way: the page knows of two unfinished ones when it is cut off.
        await tab.say(second)
        await tab.shows(second)

        await network.cut()
        back_at = asyncio.get_running_loop().time() + OFFLINE_S
        await tab.status("offline")
        answer_first.set()
        body = {"conversation_id": tab.conversation_id}
        posted = await visitor.client.post(
            chat_path, json=body | {"message": by_post}, headers=headers
        )
        assert posted.json()["response"] == opinion(by_post)
        async with visitor.client.stream(
            "POST",
            chat_path,
            json=body | {"message": by_stream},
            headers=headers | {"Accept": "text/event-stream"},
        ) as stream:
            assert stream.status_code == 200
            await tab.say(typed_offline)
            await asyncio.sleep(back_at - asyncio.get_running_loop().time())
            assert (await tab.status("offline")).endswith("connecting again …")
            assert [message.role for message in await tab.messages()] == [
                "user",
                "assistant draft",
                "user",
                "user waiting",
            ]

            sockets_before = len(tab.said)
            await network.restore()
            await tab.status("online")
            # Of the turn that began without the page, the half that was told meanwhile.
            made = half(opinion(by_stream))
            assert await tab.draft(made) == made
            answer_by_stream.set()
            await stream.aread()
        await tab.shows(opinion(typed_offline))
        await assert_page_is_the_record(visitor, tab, turns=5)
    shown = [message.content for message in await visitor.history(tab.conversation_id)]
    assert shown[0::2] == [first, second, by_post, by_stream, typed_offline]
    assert shown[1::2] == [opinion(message) for message in shown[0::2]]
    assert len(tab.said) > sockets_before
    assert [frame["type"] for frame in tab.said[-1]][:2] == ["resume", "message"]


async def test_a_page_that_hears_nothing_any_more_connects_again(
    visitor: Visitor, model: SlowModel
) -> None:
    said = "What about juice?"
    go_on = model.hold(said)
    async with Network(str(visitor.client.base_url)) as network:
        tab = await visitor.open(service=network.url, heartbeat_ms="500")
        await tab.say(said)
        await tab.draft(half(opinion(said)))
        network.silence()
        go_on.set()
        assert "(1006)" in await tab.status("offline")
        await network.restore()
        await tab.shows(opinion(said))
        await assert_page_is_the_record(visitor, tab, turns=1)


async def test_a_page_that_is_far_away_misses_nothing_when_it_comes_back(
    visitor: Visitor, model: SlowModel
) -> None:
    said = "What about oranges?"
    model.word_s[said] = 0.04
    # Longer than the service holds back what is new for who has not said yet where to go on.
    async with Network(str(visitor.client.base_url), delay_s=0.2) as network:
        tab = await visitor.open(service=network.url)
        await tab.say(said)
        await tab.draft("You said")
        await network.cut()
        await network.restore()
        await tab.shows(opinion(said))
        await assert_page_is_the_record(visitor, tab, turns=1)


async def test_two_tabs_of_a_conversation_show_each_others_turns_while_they_happen(
    visitor: Visitor, model: SlowModel
) -> None:
    by_one, by_other = "What about apples?", "What about pears?"
    first, second = model.hold(by_one), model.hold(by_other)
    one = await visitor.open()
    await one.say(by_one)
    await one.draft(half(opinion(by_one)))
    other = await visitor.open(conversation=one.conversation_id)
    await other.draft(half(opinion(by_one)))
    first.set()
    for tab in (one, other):
        await tab.shows(opinion(by_one))
    await other.say(by_other)
    await one.shows(by_other)
    for tab in (one, other):
        await tab.draft(half(opinion(by_other)))
    second.set()
    for tab in (one, other):
        await tab.shows(opinion(by_other))
        await assert_page_is_the_record(visitor, tab, turns=2)
    assert one.seen == other.seen


async def test_a_page_with_a_bad_token_sees_why_it_is_turned_away(visitor: Visitor) -> None:
    tab = await visitor.open(token="not-a-token")
    assert await tab.status("closed") == "closed (4001): The token is not valid; get a new one."


async def test_a_page_of_an_origin_that_is_not_allowed_sees_why_it_is_turned_away(
    visitor: Visitor, services: Services
) -> None:
    tab = await visitor.open(service=services.closed)
    reason = "This page's origin is not allowed to connect."
    assert await tab.status("closed") == f"closed (4003): {reason}"
