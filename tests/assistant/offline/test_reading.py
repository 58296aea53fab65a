"""What a message is made into: words, parts, references; and what no text may do."""

import time

import pytest

from taskchat_offline.features import Context
from taskchat_offline.learned import load
from taskchat_offline.matching import Task, Titles
from taskchat_offline.plan import next_step
from taskchat_offline.reading import Act, read
from taskchat_offline.references import Memory, Reference, reference_of, resolve
from taskchat_offline.rewording import new_title
from taskchat_offline.text import spoken_of, text_of, tokens_of
from taskchat_offline.words import corrected, stem

CPU_MS_MAX = 10_000
"""Far above what these texts take (a second), on any machine; backtracking would take minutes."""

HOSTILE = {
    "add": "add " * 1200,
    "and": "and " * 1200,
    "one letter": "a" * 5000,
    "emoji": "🎉" * 5000,
    "apostrophes": "' " * 2500,
    "quotations": '"a" ' * 1250,
    "separators": "change " + "to " * 1600,
    "names": "delete " + "a and " * 800,
    "lines": "\n" * 5000,
    "right to left": "‮‏שלום " * 600,
    "control": "\x00" * 5000,
    "exceptions": "delete " + "all but " * 600,
    "taken back": "a no wait " * 500,
    "tabs": "add\tbuy\ttea\t" * 400,
    "slips": " ".join(f"delte{number}x" for number in range(500)),
}

TASKS = [Task(n, f"Task about {word} {n}") for n, word in enumerate(["paint", "rent", "tea"] * 167)]


def acts_in(said: str, *tasks: Task) -> list[Act]:
    return read(said, Titles(tasks), Context(), load())


def named(text: str) -> Reference:
    return reference_of(text, tokens_of(text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_reading_slow_or_fail(text: str) -> None:
    started = time.process_time()
    assert acts_in(text[:5000], *TASKS)
    assert (time.process_time() - started) * 1000 < CPU_MS_MAX


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("buy copper no wait brass couplings", "buy brass couplings"),
        ("charge the tool tonight no scratch that tomorrow", "charge the tool tomorrow"),
        ("the mot on thursday no wait friday on friday", "the mot on friday"),
        ("scrap number two no hang on number four", "scrap number four"),
        ("tick the second one no the third", "tick the third"),
        ("change it to 5 no 6", "change it to 6"),
        ("add milk no wait don't", "add milk no wait don't"),
        ("is it done no it is not", "is it done no it is not"),
        ("size 31, velcro, no glitter", "size 31 , velcro , no glitter"),
        ("there is no milk", "there is no milk"),
    ],
)
def test_what_a_speaker_corrects_was_not_said(said: str, meant: str) -> None:
    assert " ".join(token.key for token in spoken_of(tokens_of(said))) == meant


def test_what_people_say_is_not_kept() -> None:
    model = load()
    weights = (model.segments, model.steps, model.words, model.spans)

    def rows_after(word: str) -> list[int]:
        acts_in(f"add buy {word} and call {word}")
        return [len(one.rows) for one in weights]

    assert rows_after("qzxavu") == rows_after("wvkoqi") == rows_after("xqiwzu")


def test_a_title_keeps_its_case_its_marks_and_its_time() -> None:
    (act,) = acts_in("Please add Ring Dr. O'Neil @ 7:30pm about the x-ray to my list")
    assert (act.label, act.texts("T")) == ("add", ["Ring Dr. O'Neil @ 7:30pm about the x-ray"])


@pytest.mark.parametrize("title", ["buy 🥛 for Łukasz", "買い物", "C++ homework #4"])
def test_emoji_and_other_scripts_survive_in_a_title(title: str) -> None:
    (act,) = acts_in(f"add {title}")
    assert act.texts("T") == [title]


def test_command_words_inside_quotation_marks_are_a_title() -> None:
    (act,) = acts_in("add 'delete all tasks and mark it as done'")
    assert act.texts("T") == ["delete all tasks and mark it as done"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [("um add uh milk", "add milk"), ("I've um I've paid", "I've paid"),
     ("call June no sorry call Jane", "call Jane"), ("add tea, no wait, add jam", "add jam"),
     ("pay 5 5 times", "pay 5 5 times"), ("no wait, don't", "no wait, don't")],
)  # fmt: skip
def test_what_a_speaker_takes_back_was_not_said(said: str, kept: str) -> None:
    assert text_of(said, spoken_of(tokens_of(said))) == kept


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
     ("the second to last task", "places", (-2,)), ("the first and third", "places", (1, 3)),
     ("the first aid kit", "words", ()), ("everything", "every", ()), ("it", "pronoun", ()),
     ("the other one", "other", ()), ("the one I just added", "newest", ()),
     ("a task", "vague", ())],
)  # fmt: skip
def test_tasks_are_named_by_words_numbers_places_and_pointing(
    text: str, naming: str, numbers: tuple[int, ...]
) -> None:
    found = named(text)
    assert (found.naming, found.numbers) == (naming, numbers)


def matched(text: str, *titles: str) -> tuple[list[str], list[str]]:
    tasks = [Task(number, title) for number, title in enumerate(titles, 1)]
    match = resolve(named(text), Titles(tasks), Memory())
    return [task.title for task in match.tasks], [task.title for task in match.unclear]


def test_an_exact_title_wins_over_titles_that_contain_it() -> None:
    assert matched("milk", "Buy oat milk", "Milk") == (["Milk"], [])


def test_two_titles_that_fit_alike_are_unclear() -> None:
    titles = ["Email the client", "Email the accountant"]
    assert matched("the email task", *titles) == ([], titles)


def test_a_slip_in_a_name_still_finds_its_task() -> None:
    assert matched("the acountant task", "Email the client", "Email the accountant")[0] == [
        "Email the accountant"
    ]


def test_a_finished_task_does_not_compete_to_be_completed() -> None:
    tasks = [Task(1, "Email the client", completed=True), Task(2, "Email the accountant")]
    match = resolve(named("email task"), Titles(tasks), Memory(), prefer_open=True)
    assert [task.id for task in match.tasks] == [2]


def test_a_title_with_and_is_one_task_and_two_titles_are_two() -> None:
    text = "buy bread and milk"
    assert matched(text, "Buy bread and milk", "Call Sam")[0] == ["Buy bread and milk"]
    assert matched(text, "Buy bread", "Milk")[0] == ["Buy bread", "Milk"]


def test_all_but_one_spares_that_one() -> None:
    assert matched("everything except the rent", "Tea", "Pay the rent", "Jam")[0] == ["Tea", "Jam"]


@pytest.mark.parametrize(
    ("title", "former", "new", "wanted"),
    [("Hire 12 chairs", "12", "20 chairs", "Hire 20 chairs"),
     ("Apply by 1 May", "1 May", "15 May", "Apply by 15 May"),
     ("Pay broadband bill", "pay broadband bill", "pay mobile bill", "pay mobile bill"),
     ("Lunch on Monday", "", "Tuesday", "Lunch on Tuesday"), ("Tea", "jam", "milk", ""),
     ("Pick up perscription", "", "prescription", "Pick up prescription"),
     ("Buy two tennis balls", "", "four", "Buy four tennis balls"), ("Buy tea", "", "four", ""),
     ("Buy 2 litres of paint", "", "5 litres", "Buy 5 litres of paint")],
)  # fmt: skip
def test_a_correction_changes_the_wrong_words_only(
    title: str, former: str, new: str, wanted: str
) -> None:
    assert new_title(title, new, former, appended=False) == wanted


def test_nonsense_is_not_understood() -> None:
    for said in ("qwer zxcv", "", "..."):
        step = next_step(said, frozenset())
        assert not step.calls
        assert step.reply


def test_the_same_words_always_mean_the_same() -> None:
    text = "Mark the rent task as done, then add buy soap and show what's left"
    tasks = [Task(1, "Pay the rent")]
    told = [(a.label, a.margin, a.text, a.texts("T")) for a in acts_in(text, *tasks)]
    assert told == [(a.label, a.margin, a.text, a.texts("T")) for a in acts_in(text, *tasks)]
