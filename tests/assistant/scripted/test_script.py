"""A script as people write it: what is one, what is none, and which turn answers which message."""

import json
import re
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from taskchat.assistant.models.scripted.reading import ScriptInvalid, parse_script, read_script
from taskchat.assistant.models.scripted.script import (
    Answered,
    Call,
    Expectation,
    Failure,
    Script,
    Turn,
    Used,
    fits,
)

REPLY = {"say": "Hello."}


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("hello", "hello", True),
        ("hello", "hello there", False),
        ("*", "", True),
        ("*", "anything\nat all", True),
        ("add *", "add milk", True),
        ("add *", "please add milk", False),
        ("*milk*", "buy milk today", True),
        ("*milk", "milk and milk", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("ab*bc", "abc", False),
        ("ab*b*bc", "abbc", False),
        ("[a] ?", "[a] ?", True),
        ("[a] ?", "a x", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(
    pattern: str, text: str, does: bool
) -> None:
    assert fits(pattern, text) is does


def test_a_pattern_of_many_stars_takes_no_longer_than_it_is_long() -> None:
    began = time.process_time()
    assert not fits("*a" * 5000 + "*b", "a" * 5000 + "c")
    assert time.process_time() - began < 5, "one that tries every way would take for ever"


def test_the_first_pattern_that_fits_answers_and_the_others_go_by_their_place() -> None:
    first, second, hello, any_task = (
        {"answers": [{"say": name}], **more}
        for name, more in (
            ("first", {}),
            ("second", {}),
            ("hello", {"message": "hello"}),
            ("task", {"message": "*task*"}),
        )
    )
    script = parse_script(json.dumps({"turns": [first, hello, any_task, second]}))

    def said(message: str, number: int) -> str | None:
        turn = script.turn(message, number)
        return None if turn is None else str(turn.answers[0].say)

    assert [said("x", number) for number in (1, 2, 3)] == ["first", "second", None]
    assert [said("hello", number) for number in (1, 2, 3)] == ["hello"] * 3
    assert said("a task, please", 1) == "task"


def test_what_one_turn_answers_is_a_script_for_any_message() -> None:
    script = parse_script(json.dumps([REPLY]))
    turn = script.turn("whatever", 7)
    assert turn is not None
    assert turn.answers[0].say == "Hello."


@pytest.mark.parametrize(
    ("short", "failure"),
    [
        (429, Failure(kind="status", status=429)),
        ("timeout", Failure(kind="timeout")),
        ({"kind": "cut", "after": 2}, Failure(kind="cut", after=2)),
    ],
)
def test_a_failure_has_a_short_form(short: object, failure: Failure) -> None:
    script = parse_script(json.dumps([{"say": "a b c", "fail": short}]))
    assert script.turns[0].answers[0].fail == failure


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 20_000, "no JSON"),
        ('[{"say": "a", "say": "b"}]', "no JSON"),
        ('[{"say": "a", "delay_s": NaN}]', "no JSON"),
        ("7", "no script"),
        ("[]", "turns.0.answers: "),
        ('{"turns": []}', "turns: "),
        ('{"turn": []}', "turns: "),
        ("[{}]", "turns.0.answers.0: say, call or fail"),
        ('[{"sya": "a"}]', "turns.0.answers.0.sya: "),
        ('[{"say": true}]', "turns.0.answers.0.say"),
        ('[{"say": "a", "delay_s": -1}]', "turns.0.answers.0.delay_s: "),
        ('[{"say": "a", "delay_s": 601}]', "turns.0.answers.0.delay_s: "),
        ('[{"say": "a", "delay_s": 1e999}]', "turns.0.answers.0.delay_s: "),
        ('[{"fail": 200}]', "turns.0.answers.0.fail.status: "),
        ('[{"fail": true}]', "turns.0.answers.0.fail: "),
        ('[{"fail": "explode"}]', "turns.0.answers.0.fail.kind: "),
        ('[{"fail": {"kind": "status"}}]', "status goes with"),
        ('[{"fail": {"kind": "hang", "status": 500}}]', "status goes with"),
        ('[{"fail": {"kind": "hang", "retry_after_s": 1}}]', "retry_after_s go with"),
        ('[{"fail": {"kind": "hang", "after": 1}}]', "after goes with"),
        ('[{"fail": {"kind": "status", "status": 429, "times": 1}}]', "say, call or fail"),
        ('[{"call": {"tool": ""}}]', "turns.0.answers.0.call.0.tool: "),
        ('[{"call": {"tool": "a", "arguments": [1]}}]', "turns.0.answers.0.call.0.arguments"),
        ('{"turns": [{"answers": [{"say": "a"}]}], "fallback": "gpt"}', "fallback: "),
    ],
)
def test_what_is_no_script_says_where(text: str, problem: str) -> None:
    with pytest.raises(ScriptInvalid) as refused:
        parse_script(text)
    assert problem in str(refused.value)


def test_a_turn_that_no_message_reaches_is_an_error() -> None:
    for patterns in (["a", "a"], ["*", "a"]):
        turns = [{"message": pattern, "answers": [REPLY]} for pattern in patterns]
        with pytest.raises(ScriptInvalid, match="no message reaches"):
            parse_script(json.dumps({"turns": turns}))


def test_a_file_is_yaml_and_a_problem_names_its_place(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(
        "turns:\n  - answers:\n      - {call: {tool: list_tasks}}\n      - say: [Two, ' tasks']\n"
    )
    answers = read_script(file).turns[0].answers
    assert [call.tool for call in answers[0].call] == ["list_tasks"]
    assert answers[1].say == ("Two", " tasks")
    for text, problem in (
        ("turns: [", "is no YAML"),
        ("turns:\n  - answers: [{call: {tool: a, arguments: {due: 2026-11-27}}}]", "arguments"),
        ("- say: hello", "is no script"),
        ("", "is no script"),
    ):
        file.write_text(text)
        with pytest.raises(ScriptInvalid, match=problem):
            read_script(file)
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ScriptInvalid, match="is no YAML"):
        read_script(file)
    with pytest.raises(ScriptInvalid, match="can't be read"):
        read_script(tmp_path / "gone.yaml")


def test_the_scripts_of_the_page_are_scripts(project: Path, tmp_path: Path) -> None:
    page = (project / "docs/scripted-model.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown
    for script in shown:
        (tmp_path / "script.yaml").write_text(script, encoding="utf-8")
        read_script(tmp_path / "script.yaml")


def test_the_page_has_every_key_of_a_script(project: Path) -> None:
    page = (project / "docs/scripted-model.md").read_text(encoding="utf-8")
    parts: list[type[BaseModel]] = [Script, Turn, Answered, Expectation, Call, Failure, Used]
    keys = {key for part in parts for key in part.model_fields}
    assert not [key for key in keys if not re.search(rf"\b{key}\b", page)]
