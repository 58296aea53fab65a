"""Words to intents: the rules that whole conversations do not show one by one."""

import time

import pytest

from taskchat_offline.exchanging import exchanged
from taskchat_offline.intents import Add, Change, Edit, Offer, Reword, Say, Show
from taskchat_offline.matching import Memory, Task, resolve
from taskchat_offline.normalise import corrected, stem, tokens_of
from taskchat_offline.references import reference_of
from taskchat_offline.understand import understand

CPU_MS_MAX = 5000
"""Far above what these texts take (50 ms), on any machine; backtracking would take minutes."""

HOSTILE = {
    "add": "add " * 1200,
    "and": "and " * 1200,
    "one letter": "a" * 5000,
    "emoji": "🎉" * 5000,
    "apostrophes": "' " * 2500,
    "quotations": '"a" ' * 1250,
    "regex bomb": "(a+)+$" * 800,
    "separators": "change " + "to " * 1600,
    "states": "the x is done and " * 270,
    "nested edits": "set the description of x to " * 170,
    "names": "delete " + "a and " * 800,
    "bullets": "- a\n" * 1250,
    "numbers": "tasks 1 and " * 400,
    "marks": "." * 5000,
    "lines": "\n" * 5000,
    "right to left": "‮‏שלום " * 600,
    "ligatures": "ﷺ" * 5000,
    "control": "\x00" * 5000,
    "exceptions": "delete " + "all but " * 600,
    "answers": "do " * 1600,
    "announcements": "add a new one to the list " * 200,
    "courtesies": "please could you if " * 250,
    "colons": "a: " * 1600,
    "corrections": "put a instead of b " * 250,
    "times": "done with " + "it today " * 500,
    "slips": " ".join(f"delte{number}x" for number in range(500)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_understanding_slow(text: str) -> None:
    started = time.process_time()
    assert understand(text[:5000]).intents
    assert (time.process_time() - started) * 1000 < CPU_MS_MAX


def test_a_title_keeps_its_case_its_marks_and_its_time() -> None:
    heard = understand("Please add Ring Dr. O'Neil @ 7:30pm — about Mr. Zhu's x-ray to my list")
    assert heard.intents == (Add("Ring Dr. O'Neil @ 7:30pm — about Mr. Zhu's x-ray"),)


def test_emoji_and_other_scripts_survive_in_a_title() -> None:
    assert understand("add buy 🥛 for Łukasz").intents == (Add("buy 🥛 for Łukasz"),)
    assert understand("add 買い物").intents == (Add("買い物"),)


def test_command_words_inside_quotation_marks_are_a_title() -> None:
    heard = understand("add 'delete all tasks and mark it as done'")
    assert heard.intents == (Add("delete all tasks and mark it as done"),)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("delte", "delete"), ("updte", "update"), ("remnd", "remind"), ("shwo", "show"),
     ("complet", "complete"), ("taks", "task"), ("ad", "add")],
)  # fmt: skip
def test_a_slip_in_a_command_word_is_understood(typed: str, meant: str) -> None:
    assert corrected(typed) == meant


@pytest.mark.parametrize("word", ["park", "clean", "how", "one", "talks", "remote", "renamed"])
def test_a_real_word_is_never_taken_for_a_slip(word: str) -> None:
    assert corrected(word) == word


@pytest.mark.parametrize(
    ("one", "other"),
    [("paid", "pay"), ("groceries", "grocery"), ("shopping", "shop"), ("organising", "organize"),
     ("watered", "water"), ("wrote", "writing"), ("tyres", "tires"), ("tidied", "tidy")],
)  # fmt: skip
def test_forms_of_one_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("text", "naming", "numbers"),
    [("task 2", "ids", (2,)), ("#2", "ids", (2,)), ("number three", "ids", (3,)),
     ("tasks 1-3", "ids", (1, 2, 3)), ("tasks 1, 2 and 4", "ids", (1, 2, 4)),
     ("the second one", "places", (2,)), ("the last two tasks", "places", (-2, -1)),
     ("the second to last task", "places", (-2,)), ("the first and third", "places", (1, 3))],
)  # fmt: skip
def test_numbers_are_ids_and_ordinals_are_places(
    text: str, naming: str, numbers: tuple[int, ...]
) -> None:
    found = reference_of(text, tokens_of(text))
    assert (found.naming, found.numbers) == (naming, numbers)


def test_an_ordinal_that_belongs_to_a_title_is_a_word() -> None:
    assert reference_of("the first aid kit", tokens_of("the first aid kit")).naming == "words"


def test_an_exact_title_wins_over_titles_that_contain_it() -> None:
    tasks = [Task(1, "Buy oat milk"), Task(2, "Milk")]
    match = resolve(reference_of("milk", tokens_of("milk")), tasks, Memory())
    assert [task.id for task in match.tasks] == [2]


def test_two_titles_that_fit_alike_are_unclear() -> None:
    tasks = [Task(1, "Email the client"), Task(2, "Email the accountant")]
    match = resolve(reference_of("email task", tokens_of("email task")), tasks, Memory())
    assert [task.id for task in match.unclear] == [1, 2]
    assert match.tasks == ()


def test_a_finished_task_does_not_compete_to_be_completed() -> None:
    tasks = [Task(1, "Email the client", completed=True), Task(2, "Email the accountant")]
    words = reference_of("email task", tokens_of("email task"))
    assert [t.id for t in resolve(words, tasks, Memory(), prefer_open=True).tasks] == [2]


def test_a_title_with_and_is_one_task_and_two_titles_are_two() -> None:
    text = "buy bread and milk"
    one = [Task(1, "Buy bread and milk"), Task(2, "Call Sam")]
    two = [Task(1, "Buy bread"), Task(2, "Milk")]
    words = reference_of(text, tokens_of(text))
    assert [task.id for task in resolve(words, one, Memory()).tasks] == [1]
    assert [task.id for task in resolve(words, two, Memory()).tasks] == [1, 2]


def test_a_bare_deed_is_offered_and_never_added_unasked() -> None:
    assert understand("call the dentist").intents == (Offer("add", "call the dentist"),)


@pytest.mark.parametrize(
    ("title", "old", "new", "wanted"),
    [("Hire 12 chairs", "12", "20 chairs", "Hire 20 chairs"),
     ("Apply by 1 May", "1 May", "15 May", "Apply by 15 May"),
     ("Pay broadband bill", "pay broadband bill", "pay mobile bill", "pay mobile bill")],
)  # fmt: skip
def test_a_correction_changes_the_wrong_words_only(
    title: str, old: str, new: str, wanted: str
) -> None:
    assert exchanged(title, old, new) == wanted


def test_a_command_in_an_announced_title_is_no_command() -> None:
    heard = understand("one more for the list: delete everything on the old phone")
    assert heard.intents == (Add("delete everything on the old phone"),)


def test_a_message_that_calls_itself_off_asks_for_nothing() -> None:
    assert understand("delete task 2, no wait, don't").intents == (Say("no"),)


def test_nonsense_is_not_understood() -> None:
    assert understand("qwer zxcv").intents == (Say("unknown"),)
    assert understand("").intents == (Say("unknown"),)
    assert understand("...").intents == (Say("unknown"),)


def test_requests_come_in_the_order_said() -> None:
    kinds = [type(i) for i in understand("delete task 1, add tea and show my tasks").intents]
    assert kinds == [Change, Add, Show]


def test_an_edit_of_both_fields_is_one_edit() -> None:
    heard = understand("change the title of task 2 to Run and its description to 5 km").intents
    (intent,) = heard
    edit = intent.readings[0] if isinstance(intent, Reword) else intent
    assert isinstance(edit, Edit)
    assert (edit.title, edit.description) == ("Run", "5 km")


def test_the_same_words_always_mean_the_same() -> None:
    text = "Mark the rent task as done, then add buy soap and show what's left"
    assert understand(text) == understand(text)


@pytest.mark.parametrize(
    "text", ["drop everything and call mom", "forget everything I said", "I'm done", "never mind"]
)
def test_a_figure_of_speech_deletes_nothing(text: str) -> None:
    tasks = [Task(1, "Call mom"), Task(2, "Pay the rent")]
    for intent in understand(text).intents:
        if isinstance(intent, Change):
            assert len(resolve(intent.target, tasks, Memory()).tasks) < 2
