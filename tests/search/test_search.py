"""Searching by words, through the whole service and a real Postgres."""

import base64
import json
import unicodedata
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker
from tests.factories import Person, person_in, says, scripted
from tests.search.writing import found, joined, marked, searched, wrote

from taskchat.http.pages import encode_cursor
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.search.folding import folded

MANY_MESSAGES = text(
    "WITH numbered AS (SELECT gen_random_uuid() AS turn, c.id AS conversation, 1 + n AS number"
    " FROM conversations AS c, generate_series(1, :count) AS n WHERE c.user_id = :owner), turned AS"
    " (INSERT INTO turns (user_id, id, conversation_id, number, channel, status)"
    " SELECT :owner, turn, conversation, number, 'rest', 'completed' FROM numbered)"
    " INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position, role,"
    " content) SELECT :owner, gen_random_uuid(), conversation, turn, number, 0, 'user',"
    " 'Hay and more hay, ' || number FROM numbered"
)
"""More messages in a user's only conversation than are read one by one."""


@pytest.fixture
async def person(database: Database) -> Person:
    return await person_in(database)


async def test_messages_conversations_and_tasks_are_found_with_their_ids(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    turn = (await person.say(client, "Add task: Buy groceries")).json()
    page = await searched(client, person, "groceries")
    by_kind = {(hit["kind"], hit["role"]): hit for hit in page["data"]}
    assert set(by_kind) == {
        ("message", "user"),
        ("message", "assistant"),
        ("conversation", None),
        ("task", None),
    }
    said = by_kind["message", "user"]
    assert said["message_id"] == turn["messages"][0]["id"]
    assert said["turn_id"] == turn["turn_id"]
    assert said["conversation_id"] == turn["conversation_id"]
    assert said["title"] == "Add task: Buy groceries"
    assert said["created_at"] == turn["messages"][0]["created_at"]
    assert (joined(said), marked(said)) == ("Add task: Buy groceries", ["groceries"])
    assert by_kind["conversation", None]["conversation_id"] == turn["conversation_id"]
    assert by_kind["conversation", None]["message_id"] is None
    task = by_kind["task", None]
    assert (task["task_id"], task["conversation_id"], joined(task)) == (1, None, "Buy groceries")
    scores = [hit["score"] for hit in page["data"]]
    assert scores == sorted(scores, reverse=True)
    assert (page["has_more"], page["next_cursor"], page["semantic"]) == (False, None, False)
    assert page["corrected"] is None


async def test_a_kind_and_a_conversation_can_be_asked_for(client: httpx.AsyncClient) -> None:
    person = Person()
    first = (await person.say(client, "Add task: Buy groceries")).json()
    await person.say(client, "Add task: Sell groceries")
    for kind, count in (("message", 4), ("conversation", 2), ("task", 2)):
        page = await searched(client, person, "groceries", kind=kind)
        assert [hit["kind"] for hit in page["data"]] == [kind] * count
    page = await searched(client, person, "groceries", conversation_id=first["conversation_id"])
    assert {hit["conversation_id"] for hit in page["data"]} == {first["conversation_id"]}
    assert len(page["data"]) == 3
    page = await searched(client, person, "groceries", conversation_id=str(new_id()))
    assert page["data"] == []


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("I bought groceries", "grocery"),
        ("the grocery around the corner", "groceries"),
        ("Planning the party", "plans"),
        ("plans for two cities", "city plan"),
        ("Call the dentist", "den"),
        ("Crème brûlée for Zoë", "creme brulee zoe"),
        ("creme brulee", "CRÈME"),
        ("Позвонить маме", "позвонить"),
        ("记得买牛奶和鸡蛋", "牛奶"),
        ("mail ann@example.org or see https://example.org/a_b-c", "example"),
        ("mail ann@example.org", "ann@example.org"),
        ("don't forget", "don't"),
        ("room 42b, 3.5 kg", "42b 3.5"),
        ("eggs, then milk", "milk or butter"),
        ("the big red car", '"big red car"'),
        ("naïve", "nai\u0308ve"),
        ("die Straße, GROẞ", "strasse gross"),
        ("l'œuvre, Ærø", "oeuvre aero"),
        ("Łódź, Đà Nẵng", "lodz da nang"),
        ("ılık, DIŞARI", "ilik dışarı"),
        ("soft\u00adhyphen and \ufeffmark", "softhyphen mark"),
        ("to be or not to be", "to be"),
        ("what is there", "what"),
    ],
)
async def test_a_word_is_found_by_its_other_forms(
    client: httpx.AsyncClient, database: Database, person: Person, said: str, asked: str
) -> None:
    await wrote(database, person, "something else altogether", said)
    assert await found(client, person, asked) == [said]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("the red big car", '"big red car"'),
        ("milk and eggs", "milk -eggs"),
        ("milk and eggs", "milk -egg"),
        ("a planet", "planning"),
        ("the dentist", "den "),
        ("the dentist", "den of lions "),
        ("anything", "-nothing"),
    ],
)
async def test_what_was_not_asked_for_is_not_found(
    client: httpx.AsyncClient, database: Database, person: Person, said: str, asked: str
) -> None:
    await wrote(database, person, said)
    page = await searched(client, person, asked)
    assert page == {
        "data": [],
        "has_more": False,
        "next_cursor": None,
        "semantic": False,
        "corrected": None,
    }


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("मुझे दूध और किताब चाहिए", ["दूध", "किताब"]),
        ("আমি দুধ কিনতে চাই", ["দুধ"]),
        ("நான் பால் வாங்க வேண்டும்", ["பால்", "வாங்க"]),
        ("ซื้อนม พรุ่งนี้", ["ซื้อนม"]),
        ("ខ្ញុំ ចង់ទិញ", ["ខ្ញុំ"]),
        ("내일 우유를 사요", ["내일"]),
        ("ﾐﾙｸを買う", ["ﾐ", "ﾙ", "ｸ"]),
        ("اشترِ الحليب", ["الحليب"]),
        ("לקנות חָלָב", ["חָלָב"]),
        ("𝐖𝐨𝐫𝐥𝐝 ½", ["𝐖𝐨𝐫𝐥𝐝"]),
        ("die Straße", ["Straße"]),
    ],
)
async def test_what_was_looked_for_is_marked_in_any_script(
    client: httpx.AsyncClient,
    database: Database,
    person: Person,
    said: str,
    asked: list[str],
) -> None:
    await wrote(database, person, said)
    [hit] = (await searched(client, person, f"{' '.join(asked)} "))["data"]
    assert (joined(hit), marked(hit)) == (said, asked)


async def test_the_database_and_the_excerpts_fold_every_character_alike(
    superuser: AsyncEngine,
) -> None:
    known = [c for c in map(chr, range(1, 0x110000)) if unicodedata.category(c) not in ("Cn", "Cs")]
    async with superuser.connect() as connection:
        # What the server's edition of Unicode has otherwise is none of ours.
        rows = await connection.execute(
            text(
                "SELECT c AS char, search_fold_1(c) AS folded FROM unnest(CAST(:known AS text[]),"
                " CAST(:small AS text[])) AS k (c, small) WHERE lower(normalize(c, NFKD)) = small"
            ),
            {"known": known, "small": [unicodedata.normalize("NFKD", c).lower() for c in known]},
        )
        compared = {row.char: row.folded for row in rows}
    assert len(compared) > 250_000
    assert {c for c, there in compared.items() if folded(c) != there} == set()


async def test_if_nothing_has_all_the_words_what_has_some_is_found_and_the_most_comes_first(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    await wrote(database, person, "call the dentist on Monday", "the dentist", "a walk")
    assert await found(client, person, "dentist Monday ") == ["call the dentist on Monday"]
    assert await found(client, person, "when is the dentist Monday call appointment") == [
        "call the dentist on Monday",
        "the dentist",
    ]


@pytest.mark.parametrize(
    ("said", "asked", "meant"),
    [
        ("call the dentist", "dentsit", "dentist"),
        ("call the dentist", "dentist's dentst ", "dentist"),
        ("the landlord, Mr Müller", "landlort", "landlord"),
        ("Überraschung", "uberrashung", "uberraschung"),
    ],
)
async def test_misspelt_words_are_taken_for_those_that_look_alike_and_this_is_told(
    client: httpx.AsyncClient,
    database: Database,
    person: Person,
    said: str,
    asked: str,
    meant: str,
) -> None:
    await wrote(database, person, "something else", said)
    page = await searched(client, person, asked)
    assert [joined(hit) for hit in page["data"]] == [said]
    if page["corrected"] is not None:
        assert meant in page["corrected"].split()
        assert marked(page["data"][0])


async def test_titles_and_tasks_are_words_that_may_be_meant_and_strangers_words_are_not(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    stranger = Person()
    await stranger.say(client, "Add task: photosynthesis")
    await wrote(database, person, "nothing of that kind")
    page = await searched(client, person, "photosinthesis")
    assert (page["data"], page["corrected"]) == ([], None)
    page = await searched(client, stranger, "photosinthesis", kind="task")
    assert (len(page["data"]), page["corrected"]) == (1, "photosynthesis")
    for asked in ('"photosinthesis"', "photosinthesis -x", "xhotosynthesis"):
        assert (await searched(client, stranger, asked))["corrected"] is None, asked


async def test_other_languages_can_be_set_at_any_time(
    running_app: AppMaker, database: Database, person: Person
) -> None:
    await wrote(database, person, "zwei Häuser", "deux chevaux")
    for languages, known in (
        (None, False),
        ("english", False),
        ("german", True),
        ("english,german", True),
    ):
        async with running_app(search_languages=languages) as running:
            page = await searched(running.client, person, "Hauses ")
            # In a language that is not known, it is only a word that looks alike.
            assert page["corrected"] == (None if known else "hauser"), languages
            assert [joined(hit) for hit in page["data"]] == ["zwei Häuser"]


@pytest.mark.parametrize(
    "asked",
    [
        *(
            "'",
            '"',
            "''",
            '"""',
            "\\",
            "%",
            "_",
            "&",
            "|",
            "!",
            "()",
            ":*",
            "<->",
            "-",
            "--",
            "--x",
        ),
        *(
            "a:* & b",
            "'a' <-> !",
            "x' OR 1=1 --",
            "('",
            "or",
            "or or",
            "-or",
            'a "b',
            '"a b" or -"',
        ),
        *("\u200b", "🎉", "\ufeff", "\U000e0001", "$1", "{}", "\t\n x", "minus0sign quote0mark"),
        *(
            "a" * 500,
            "a " * 250,
            '"' * 500,
            "-a" * 250,
            "! " * 250,
            "牛" * 500,
            "a:1,2B",
            "\x01\x7f",
        ),
        *("e\u0301" * 250, "- or -", "-a or -b", 'a or "b -c" d', "İI", "ﬁ", "1e5 -1 .5", "a\\'b"),
    ],
)
async def test_whatever_is_typed_is_a_search(
    client: httpx.AsyncClient, database: Database, person: Person, asked: str
) -> None:
    await wrote(database, person, "What the cat said", asked.strip())
    for languages in ({}, {"kind": "message"}):
        await searched(client, person, asked, **languages)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=", "q"),
        ("q=%20%09", "q"),
        ("q=a%00b", "q"),
        ("q=" + "a" * 501, "q"),
        ("q=a&limit=0", "limit"),
        ("q=a&kind=user", "kind"),
        ("q=a&conversation_id=7", "conversation_id"),
        ("q=a&after=bm9uc2Vuc2U", "after"),
        ("q=a&after=" + quote("é"), "after"),
    ],
)
async def test_what_is_no_search_is_told_by_its_field(
    client: httpx.AsyncClient, person: Person, query: str, field: str
) -> None:
    answer = await client.get(f"/api/{person.user_id}/search?{query}", headers=person.headers)
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (400, "invalid_request")
    assert [detail["field"] for detail in body["details"]] == [field]


async def test_the_length_of_a_search_is_a_setting(running_app: AppMaker, person: Person) -> None:
    async with running_app(search_chars_max=3) as running:
        assert await found(running.client, person, " abc ") == []
        answer = await running.client.get(
            f"/api/{person.user_id}/search?q=abcd", headers=person.headers
        )
        assert answer.status_code == 400
        assert "at most 3 characters" in answer.json()["details"][0]["problem"]


async def test_pages_join_without_a_gap_and_new_messages_move_nothing(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    await wrote(database, person, *[f"milk number {number}" for number in range(7)])
    whole = await searched(client, person, "milk", limit=200)
    seen: list[Any] = []
    after: dict[str, str] = {}
    for count in (3, 3, 1):
        page = await searched(client, person, "milk", limit=3, **after)
        assert len(page["data"]) == count
        seen += page["data"]
        after = {"after": page["next_cursor"]}
        # It would stand first.
        await wrote(database, person, "milk milk milk")
    assert page["next_cursor"] is None
    assert page["has_more"] is False
    assert seen == whole["data"]


async def test_a_walk_goes_on_behind_what_was_deleted(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    for number in range(6):
        await person.say(client, f"Add task: milk {number}")
    page = await searched(client, person, "milk", limit=2, kind="task")
    first = page["data"][0]["task_id"]
    await client.delete(f"/api/{person.user_id}/tasks/{first}", headers=person.headers)
    rest = await searched(client, person, "milk", kind="task", after=page["next_cursor"])
    ids = [hit["task_id"] for hit in page["data"] + rest["data"]]
    assert sorted(ids) == [1, 2, 3, 4, 5, 6]


async def test_a_walk_goes_on_behind_what_was_deleted_even_if_it_was_the_last_on_its_page(
    client: httpx.AsyncClient, person: Person
) -> None:
    tasks = f"/api/{person.user_id}/tasks"
    for number in range(9):
        title = "milk " * (1 + number % 3) + "hay " * (number % 4)
        await client.post(tasks, json={"title": title}, headers=person.headers)
    whole = await searched(client, person, "milk")
    ids = [hit["task_id"] for hit in whole["data"]]
    assert len(ids) == 9
    seen: list[int] = []
    after: dict[str, str] = {}
    for _ in range(3):
        page = await searched(client, person, "milk", limit=3, **after)
        seen += [hit["task_id"] for hit in page["data"]]
        after = {"after": page["next_cursor"]}
        for gone in (seen[-1], seen[-3]):
            await client.delete(f"{tasks}/{gone}", headers=person.headers)
    assert (seen, page["has_more"]) == (ids, False)


@pytest.mark.parametrize(
    "changed",
    [
        {1: "yesterday"},
        {1: "0001-01-01T00:00:00+23:59"},
        {3: "message 7"},
        {3: "task x"},
        {3: "user 1"},
        {3: ""},
        {4: "\ud800"},
        {5: "nan"},
        {5: "much"},
        {6: "-inf"},
    ],
)
async def test_a_cursor_that_was_changed_is_told_to_be_none(
    client: httpx.AsyncClient, database: Database, person: Person, changed: dict[int, str]
) -> None:
    await wrote(database, person, "milk one", "milk two")
    cursor = (await searched(client, person, "milk", limit=1))["next_cursor"]
    parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for number, part in changed.items():
        assert parts[number] != part
        parts[number] = part
    answer = await client.get(
        f"/api/{person.user_id}/search",
        params={"q": "milk", "after": encode_cursor(*parts)},
        headers=person.headers,
    )
    assert answer.status_code == 400, answer.text
    assert [detail["field"] for detail in answer.json()["details"]] == ["after"]


async def test_a_cursor_is_of_one_search_only(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    await wrote(database, person, "milk one", "milk two")
    cursor = (await searched(client, person, "milk", limit=1))["next_cursor"]
    for other in ({"q": "mild"}, {"q": "milk", "kind": "message"}):
        answer = await client.get(
            f"/api/{person.user_id}/search",
            params={**other, "after": cursor},
            headers=person.headers,
        )
        assert answer.status_code == 400, other


async def test_of_each_kind_the_newest_are_ranked(
    running_app: AppMaker, database: Database, person: Person
) -> None:
    await wrote(database, person, "milk milk milk milk", *[f"milk {n}" for n in range(10)])
    async with running_app(search_ranked_max=10) as running:
        hits = await found(running.client, person, "milk")
    assert sorted(hits) == [f"milk {n}" for n in range(10)]


async def test_a_title_that_changes_is_found_by_what_it_is_now(client: httpx.AsyncClient) -> None:
    person = Person()
    turn = (await person.say(client, "Hello")).json()
    path = f"/api/{person.user_id}/conversations/{turn['conversation_id']}"
    await client.patch(path, json={"title": "Größenwahn"}, headers=person.headers)
    assert (await searched(client, person, "grossenwhan"))["corrected"] == "grossenwahn"
    assert await found(client, person, "großenwahn") == ["Größenwahn"]
    await client.delete(path, headers=person.headers)
    assert await found(client, person, "größenwahn hello") == []


async def test_a_message_that_is_only_answered_again_is_found_once(
    client: httpx.AsyncClient, person: Person
) -> None:
    first = (await person.say(client, "Remember the zebra crossing")).json()
    message = f"/api/{person.user_id}/messages/{first['messages'][0]['id']}"
    for _ in range(2):
        again = await client.post(f"{message}/regenerate", headers=person.headers)
        assert again.status_code == 200
    other = await client.put(
        message, json={"message": "The zebra crossing, please"}, headers=person.headers
    )
    found = await client.get(
        f"/api/{person.user_id}/search",
        params={"q": "zebra crossing", "kind": "message"},
        headers=person.headers,
    )
    said = [hit["turn_id"] for hit in found.json()["data"] if hit["role"] == "user"]
    assert sorted(said) == sorted([first["turn_id"], other.json()["turn_id"]])


async def test_what_is_said_is_found_as_soon_as_it_is_acknowledged(running_app: AppMaker) -> None:
    person = Person()
    _, chain = scripted(says("Zebras are striped."))
    async with running_app(chain=chain) as running:
        await person.say(running.client, "Tell me of horses")
        assert await found(running.client, person, "zebra") == ["Zebras are striped."]
        assert "Tell me of horses" in await found(running.client, person, "horse")


async def test_a_text_of_a_hundred_thousand_words_is_stored_and_found(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    await wrote(database, person, " ".join(f"w{number}" for number in range(100_000)))
    [hit] = (await searched(client, person, "w77 w78 "))["data"]
    assert marked(hit) == ["w77", "w78"]


async def test_words_that_fold_to_many_times_their_length_do_not_keep_a_text_from_being_stored(
    client: httpx.AsyncClient, database: Database, person: Person
) -> None:
    # Each syllable is three letters of three bytes to the index, and each word another one.
    syllables = [chr(code) for code in range(0xAC01, 0xD7A4) if (code - 0xAC00) % 28]
    said = " ".join(
        syllables[number % len(syllables)] + syllables[number // len(syllables)]
        for number in range(33_333)
    )
    await wrote(database, person, said)
    [hit] = (await searched(client, person, said[:2]))["data"]
    assert marked(hit) == [said[:2]]


# --- whose words are found ---


async def test_nobody_finds_what_another_user_said(
    client: httpx.AsyncClient, database: Database
) -> None:
    owner, stranger = Person(), await person_in(database)
    await owner.say(client, "Add task: The secret plan")
    assert len(await found(client, owner, "secret plan")) == 4
    assert await found(client, stranger, "secret plan") == []


async def test_the_function_finds_and_shows_nobody_elses_rows_whatever_ids_it_is_given(
    client: httpx.AsyncClient, database: Database
) -> None:
    owner, stranger = Person(), await person_in(database)
    turn = (await owner.say(client, "Add task: The secret plan")).json()
    async with database.transaction(stranger.principal) as connection:
        rows = await connection.execute(
            text(
                "SELECT * FROM search_show_1(:stranger, 'plan', ARRAY['english'],"
                " ARRAY[CAST(:message AS uuid)], ARRAY[CAST(:conversation AS uuid)], ARRAY[1])"
            ),
            {
                "stranger": stranger.user_id,
                "message": turn["messages"][0]["id"],
                "conversation": turn["conversation_id"],
            },
        )
        assert rows.all() == []


async def test_the_system_role_finds_ids_of_one_user_and_reads_nothing(
    client: httpx.AsyncClient, database: Database
) -> None:
    owner = Person()
    turn = (await owner.say(client, "The secret plan")).json()
    name = text(
        "SELECT set_config('taskchat.user_id', :owner, true),"
        " set_config('taskchat.search', (SELECT all_near::text FROM"
        " search_read_1(:owner, 'secret', '{}')), true)"
    )
    listed = text("SELECT id FROM messages")
    async with database.system_transaction() as connection:
        assert (await connection.execute(listed)).all() == []
        await connection.execute(name, {"owner": owner.user_id})
        assert [str(id_) for id_ in await connection.scalars(listed)] == [turn["messages"][0]["id"]]
        # Another user's, with this one's key in what is looked for.
        await connection.execute(
            text("SELECT set_config('taskchat.user_id', 'somebody else', true)")
        )
        assert (await connection.execute(listed)).all() == []


async def test_messages_are_found_by_an_index_behind_row_level_security(
    database: Database, superuser: AsyncEngine, person: Person
) -> None:
    await wrote(database, person, "needle")
    async with superuser.begin() as connection:
        await connection.execute(MANY_MESSAGES, {"owner": person.user_id, "count": 3000})
        await connection.execute(text("ANALYZE messages"))
    async with database.system_transaction() as connection:
        await connection.execute(
            text(
                "SELECT set_config('taskchat.user_id', :owner, true),"
                " set_config('taskchat.search', (SELECT all_near::text FROM"
                " search_read_1(:owner, 'needle', ARRAY['english'])), true)"
            ),
            {"owner": person.user_id},
        )
        plan = "\n".join(
            await connection.scalars(text("EXPLAIN (COSTS OFF) SELECT id FROM messages"))
        )
    assert "Bitmap Index Scan on messages_words_idx" in plan
