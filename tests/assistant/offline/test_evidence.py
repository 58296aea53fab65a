"""The second reading: what words speak for, what speaks against, and when it is asked at all."""

import pytest

from taskchat_offline.assignments import assigned_in
from taskchat_offline.evidence import weighed
from taskchat_offline.frames import ability_of
from taskchat_offline.history import Turn
from taskchat_offline.intents import Add, Change, Edit, Intent, Say, Show
from taskchat_offline.listings import listing_of
from taskchat_offline.matching import Memory, Task
from taskchat_offline.normalise import text_of, tokens_of
from taskchat_offline.replacements import corrections_in, replacements_in
from taskchat_offline.second import SAID_CHARS_MAX, drafted
from taskchat_offline.segments import segments_of
from taskchat_offline.signs import denied, sign_of
from taskchat_offline.understand import understand

TASKS = [Task(1, "Wax the skis"), Task(2, "Call Ida"), Task(3, "Back up the laptop")]


def read(said: str) -> tuple[Intent, ...] | None:
    return weighed(said, TASKS, Memory())


def targets(intents: tuple[Intent, ...] | None) -> list[tuple[int, ...]]:
    return [i.target.numbers for i in intents or () if isinstance(i, Change | Edit)]


@pytest.mark.parametrize(
    ("said", "operation"),
    [("'rent' is missing from my list", "add"), ("put 'rent' on there", "add"),
     ("save 'rent' as a new item", "add"), ("kick item 4 off the list", "delete"),
     ("'rent' doesn't belong on my list any more", "delete"), ("permanently erase it", "delete"),
     ("consider the skis finished", "complete"), ("waxing the skis is done", "complete"),
     ("tick the skis", "complete")],
)  # fmt: skip
def test_a_sign_of_an_operation_may_stand_anywhere(said: str, operation: str) -> None:
    sign = sign_of(tokens_of(said))
    assert sign is not None
    assert sign.operation == operation


@pytest.mark.parametrize(
    "said",
    ["don't delete it", "should I delete it", "what happens when I tick it", "I almost waxed it",
     "he says I should wax them", "how do I delete it", "I wish it were done",
     "nothing to add today", "I'm going to wax them", "I only waxed half"],
)  # fmt: skip
def test_negation_doubt_and_hearsay_deny_what_they_speak_of(said: str) -> None:
    assert denied([token.key for token in tokens_of(said)])


def test_a_verb_inside_what_is_named_is_no_order() -> None:
    sign = sign_of(tokens_of("mark shred old papers as done"))
    assert sign is not None
    assert sign.operation == "complete"


def test_a_quotation_and_a_place_on_the_list_make_a_task_whatever_the_verb() -> None:
    assert read("Would you kindly file 'return the amp' under my tasks?") == (
        Add("return the amp"),
    )


def test_a_quotation_that_is_only_a_part_of_the_words_makes_no_task() -> None:
    assert read('put "Call me maybe" karaoke night on the list') is None


def test_two_fields_are_set_in_one_clause() -> None:
    said = "Task 2 should have the title Ring Ida and the description after six"
    found = assigned_in(said, tokens_of(said))
    assert found is not None
    assert (found.title, found.description) == ("Ring Ida", "after six")
    assert text_of(said, found.owner) == "Task 2"


@pytest.mark.parametrize(
    "said",
    ["Write 'after six' in the description of the Ida task",
     "The Ida task's description ought to be 'after six'",
     "Use 'after six' as the description for the Ida task"],
)  # fmt: skip
def test_a_description_is_set_before_or_after_its_task_is_named(said: str) -> None:
    (edit,) = read(said) or ()
    assert isinstance(edit, Edit)
    assert edit.description == "after six"


@pytest.mark.parametrize(
    ("said", "old", "new"),
    [("so that it says six rather than four", "four", "six"),
     ("move it from Friday to Saturday in the task title", "Friday", "Saturday"),
     ("it's coffee with Oma, not tea", "tea", "coffee with Oma")],
)  # fmt: skip
def test_a_replacement_is_read_however_it_is_said(said: str, old: str, new: str) -> None:
    assert (old, new) in {(r.old, r.new) for r in replacements_in(said, tokens_of(said))}


def test_a_correction_may_be_two_clauses() -> None:
    said = "I wrote skis but it's boards"
    assert [(r.old, r.new) for r in corrections_in(said, tokens_of(said))] == [("skis", "boards")]


def test_a_replacement_that_no_title_holds_changes_nothing() -> None:
    assert read("make it six rather than four") is None


def test_reports_before_an_order_say_what_both_means() -> None:
    assert targets(read("I've waxed the skis and called Ida, mark those two done")) == [(1, 2)]


def test_a_gerund_names_the_task_of_its_verb() -> None:
    assert targets(read("backing up the laptop is finished")) == [(3,)]


def test_a_report_with_other_words_in_it_completes_nothing() -> None:
    assert read("I've waxed the skis of my neighbours in Davos") is None


def test_what_no_task_fits_is_left_for_the_grammar_to_answer() -> None:
    turn = Turn("Please see to it that the karate task vanishes from my list")
    result = drafted(turn, understand(turn.said).intents, TASKS, Memory())
    assert result.draft.calls == []


def test_a_long_message_is_read_by_the_grammar_alone() -> None:
    turn = Turn("kick item 2 off the list " + "x" * SAID_CHARS_MAX)
    assert drafted(turn, (Say("unknown"),), TASKS, Memory()).intents == (Say("unknown"),)


def test_segments_begin_at_orders_and_not_inside_enumerations() -> None:
    said = "take 'A and B' off my list, please, and put 'C' and 'D' on it"
    cut = [text_of(said, segment) for segment in segments_of(tokens_of(said))]
    assert len(cut) == 2


@pytest.mark.parametrize(
    ("said", "status"),
    [("Give me the full list, including whatever is done", "all"),
     ("Of all my tasks, what remains to be done?", "pending"),
     ("I'm curious which of my to-dos are behind me, list the completed ones", "completed")],
)  # fmt: skip
def test_a_wish_to_see_tasks_is_read_from_the_whole_message(said: str, status: str) -> None:
    shown = listing_of(tokens_of(said))
    assert isinstance(shown, Show)
    assert shown.status == status


@pytest.mark.parametrize(
    "said",
    ["Take the last task off my list", "Show my tasks and delete the gym task",
     "tell Ida about the whole list of guests"],
)  # fmt: skip
def test_a_message_with_an_order_or_other_words_is_no_wish_to_see_tasks(said: str) -> None:
    assert listing_of(tokens_of(said)) is None


def test_a_question_about_tasks_at_large_asks_for_no_change() -> None:
    for said in ("Is it possible to give a task a description?", "Can tasks have titles?"):
        assert ability_of(tokens_of(said)) is not None, said
    assert ability_of(tokens_of("Can you give the Ida task a description?")) is None


@pytest.mark.parametrize(
    "said",
    ["Somebody put 'rent' on my list", "You deleted 'Call Ida'?", "If you delete 'Call Ida', wait",
     "Let me know before you delete 'Call Ida'", "I don't want 'rent' on my list",
     "I need to know if 'Call Ida' has been removed", "'Call Ida' is done, isn't it?"],
)  # fmt: skip
def test_conditions_questions_and_deeds_of_others_change_nothing(said: str) -> None:
    turn = Turn(said)
    assert drafted(turn, understand(said).intents, TASKS, Memory()).draft.calls == []
