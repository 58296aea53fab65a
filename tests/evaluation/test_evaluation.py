"""Cases are read strictly, compared as people would, and run through the whole service."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.conftest import AppMaker
from tests.e2e.processes import taskchat
from tests.factories import Person, calls_tool, says, scripted

from taskchat.commands.evaluation.cases import (
    Call,
    Case,
    CasesError,
    Turn,
    made_call,
    plain,
    problem_of,
    read_cases,
)
from taskchat.commands.evaluation.report import as_data, as_text
from taskchat.commands.evaluation.run import Miss, Outcome, Report

RIGHT = {
    "id": "right",
    "intent": "complete",
    "tasks": [{"title": "Buy groceries"}, {"title": "Call mom", "completed": True}],
    "turns": [
        {
            "say": "I got the groceries, tick that off",
            "calls": [{"tool": "complete_task", "task": "buy groceries."}],
        },
        {
            "say": "What is done?",
            "calls": [{"tool": "list_tasks", "status": "completed"}],
            "says": ["Call mom"],
        },
    ],
}
WRONG = {
    "id": "wrong",
    "intent": "add",
    "turns": [{"say": "Add task: Buy milk", "calls": [{"tool": "add_task", "title": "bread"}]}],
}


def turn(*calls: Call, says: list[str] | None = None) -> Turn:
    return Turn(say="x", calls=list(calls), says=says or [])


def added(title: str, **more: str) -> Call:
    return Call.model_validate({"tool": "add_task", "title": title, **more})


LOOK = Call(tool="list_tasks", status="all")


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        (turn(added("The milk")), [LOOK, added("  “Milk”. ")]),
        (turn(), [LOOK]),
        (turn(LOOK), [Call(tool="list_tasks", status="pending"), LOOK]),
        (turn(says=["Which", "what"]), []),
    ],
)
def test_what_is_as_wanted_has_no_problem(wanted: Turn, made: list[Call]) -> None:
    assert problem_of(wanted, made, "Which one?") is None


@pytest.mark.parametrize(
    ("wanted", "made", "problem"),
    [
        (turn(added("milk")), [], "wanted add_task(title='milk'), got no change"),
        (turn(), [added("milk")], "wanted no change, got add_task(title='milk')"),
        (turn(added("milk")), [added("milk"), added("milk")], "got add_task(title='milk'), add"),
        (turn(added("milk")), [added("milk", description="now")], "description='now'"),
        (turn(LOOK), [], "wanted a look at all tasks, got no change"),
        (turn(says=["how many"]), [], "in the reply"),
    ],
)
def test_what_is_not_is_said(wanted: Turn, made: list[Call], problem: str) -> None:
    assert problem in str(problem_of(wanted, made, "Fine."))


def test_no_reply_is_a_problem() -> None:
    assert problem_of(turn(), [], "") == "there was no reply"


def test_a_call_is_told_by_the_title_that_its_task_had() -> None:
    titles = {1: "Buy milk"}
    assert made_call("complete_task", {"task_id": 1}, titles).task == "Buy milk"
    assert made_call("delete_task", {"task_id": 7}, titles).task == "task 7"
    assert made_call("list_tasks", {}, titles).status == "all"
    changed = made_call("update_task", {"task_id": 1, "title": "B", "description": None}, titles)
    assert changed.comparable() == {"tool": "update_task", "task": "buy milk", "title": "b"}


def test_titles_compare_without_their_dress() -> None:
    assert plain(" The  “Big” plan!? ") == "“big” plan"
    assert plain("“Milk.”") == plain("'milk'!") == "milk"
    assert plain("my") == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no case"),
        ("{", "line 1"),
        ('\n{"id": "a"}', "line 2: intent"),
        ('{"id": "a", "intent": "add", "turns": []}', "turns"),
        (json.dumps(RIGHT | {"more": 1}), "more"),
    ],
)
def test_a_line_that_is_no_case_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    with pytest.raises(CasesError, match=problem):
        read_cases(path)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(CasesError, match="can't be read"):
        read_cases(tmp_path)


def test_a_report_tells_scores_and_misses() -> None:
    cases = [Case.model_validate(case) for case in (RIGHT, WRONG)]
    report = Report(
        [
            Outcome(cases[0], None, frozenset({"m"})),
            Outcome(cases[1], Miss("say", "problem", "reply"), frozenset()),
        ]
    )
    text = as_text(report)
    assert "complete      1 of 1    100.0%" in text
    assert "all           1 of 2     50.0%" in text
    assert "wrong: 'say'" in text
    data = json.loads(as_data(report))
    assert data["models"] == ["m"]
    assert data["intents"]["all"] == {"right": 1, "cases": 2, "share": 0.5}
    assert [miss["id"] for miss in data["misses"]] == ["wrong"]


def evaluated(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return taskchat("eval", str(path), *options, cwd=path.parent, env={"TASKCHAT_MODEL": "offline"})


def test_a_file_is_run_through_the_whole_service(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(json.dumps(case) for case in (RIGHT, WRONG)))
    done = evaluated(path, "--json", "--least", "0.97")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["models"] == ["offline"]
    assert report["intents"]["complete"]["share"] == 1
    [miss] = report["misses"]
    assert (miss["id"], miss["say"]) == ("wrong", "Add task: Buy milk")
    assert "got add_task(title='Buy milk')" in miss["problem"]


def test_what_needs_a_yes_is_approved(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    titles = ["Yoga class", "Go to the gym"]
    calls = [{"tool": "delete_task", "task": title} for title in titles]
    case = {
        "id": "two",
        "intent": "delete",
        "tasks": [{"title": title} for title in titles],
        "turns": [{"say": "Delete the yoga task and the gym task", "calls": calls}],
    }
    path.write_text(json.dumps(case))
    done = evaluated(path, "--least", "1")
    assert done.returncode == 0, done.stdout


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text("{")
    refused = evaluated(path)
    assert (refused.returncode, "line 1" in refused.stderr) == (2, True)


async def test_a_model_that_fails_is_a_miss(running_app: AppMaker) -> None:
    from taskchat.commands.evaluation import run

    _, chain = scripted([calls_tool("add_task", {"title": "bread"})], says("Done."))
    cases = [Case.model_validate(WRONG), Case.model_validate({**WRONG, "id": "second"})]
    async with running_app(chain=chain) as running:
        deps = running.turns
        outcomes = []
        for case in cases:
            person = Person().principal
            await running.live.authenticator.known(person)
            outcomes.append(await run._run_case(case, person, deps))
    first, second = outcomes
    assert first.miss is None
    assert second.miss is not None
    assert second.miss.problem.startswith("model_error")
