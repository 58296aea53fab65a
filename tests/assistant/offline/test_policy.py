"""What readings come to. Nothing here depends on what was learned: messages are marked by hand."""

import pytest

from taskchat_offline.generator import Example, parts_of
from taskchat_offline.history import Step, ToolCall, Turn
from taskchat_offline.matching import Task
from taskchat_offline.policy import Draft, Question, State, draft_of
from taskchat_offline.reading import Act
from taskchat_offline.references import Memory
from taskchat_offline.train import lesson_of

SURE = 10_000


def draft(marked: str, *titles: str, margin: int = SURE) -> Draft:
    """What a marked message comes to, about a list of these titles."""
    tasks = [Task(number, title) for number, title in enumerate(titles, 1)]
    example = Example(parts_of(marked), tasks)
    lesson = lesson_of(example)
    acts = [
        Act(
            segment.label,
            margin,
            example.text,
            tuple(lesson.heard.tokens[segment.start : segment.end]),
            SURE,
            {
                slot: [lesson.heard.tokens[s.start : s.end] for s in filled if s.slot == slot]
                for slot in {span.slot for span in filled}
            },
        )
        for segment, filled in zip(lesson.segments, lesson.filled, strict=True)
    ]
    rows: list[object] = [{"id": task.id, "title": task.title} for task in tasks]
    look = Step("look", "list_tasks", {"status": "all"}, {"tasks": rows})
    return draft_of(Turn(example.text, [look]), State(Memory()), acts)


def calls(marked: str, *titles: str) -> list[tuple[str, object]]:
    """The calls, each with its task's id and whatever else it is given."""
    return [(call.name, _told(call)) for call in draft(marked, *titles).calls]


def _told(call: ToolCall) -> object:
    task_id = call.arguments.get("task_id")
    rest = [value for key, value in call.arguments.items() if key != "task_id"]
    return task_id if task_id is not None and not rest else (task_id, *rest)


def test_of_tasks_that_fit_alike_the_rest_of_the_message_names_one() -> None:
    trains = ("Train to Lincoln", "Train to York")
    told = "⟦chat⟧I have decided against Lincoln. ⟦delete⟧⟨R That train⟩ may go."
    assert calls(told, *trains) == [("delete_task", 1)]
    assert calls("⟦delete⟧⟨R That train⟩ may go. ⟦chat⟧York is off", *trains) == [
        ("delete_task", 2)
    ]
    kept = draft("⟦hold⟧I'm keeping the York one. ⟦delete⟧⟨R That train⟩ may go.", *trains)
    assert not kept.calls
    assert kept.question is not None
    assert [task.id for task in kept.question.candidates] == [1, 2]


def test_a_title_said_in_full_is_meant() -> None:
    bikes = ("Bike to work", "Bike service", "Bike rack")
    assert calls("⟦delete⟧drop ⟨R bike⟩ to work", *bikes) == [("delete_task", 1)]


def test_former_words_tell_which_of_several_titles_changes() -> None:
    shoes = ("Callum's birthday", "Callum's football boots")
    marked = "⟦retitle⟧call ⟨R Callum's⟩ one ⟨N helmet⟩ instead of ⟨F football boots⟩"
    assert calls(marked, *shoes) == [("update_task", (2, "Callum's helmet"))]


def test_each_of_several_deeds_is_reported() -> None:
    chores = ("Fix fence", "Clean greenhouse", "Paint bench")
    marked = "⟦report⟧⟨R Fixed fence⟩, ⟨R painted bench⟩"
    assert calls(marked, *chores) == [("complete_task", 1), ("complete_task", 3)]


@pytest.mark.parametrize(
    ("marked", "made"),
    [
        ("⟦report⟧⟨R the flight⟩ is off, ⟦delete⟧bin ⟨R the flight⟩", [("delete_task", 1)]),
        ("⟦delete⟧bin ⟨R the flight⟩, ⟦report⟧⟨R the flight⟩ is off", [("delete_task", 1)]),
        ("⟦delete⟧⟨R the flight⟩ is over, ⟦complete⟧tick ⟨R the flight⟩", [("complete_task", 1)]),
        (
            "⟦report⟧⟨R the flight⟩ is vague, ⟦retitle⟧call ⟨R the flight⟩ ⟨N fly home⟩",
            [("update_task", (1, "fly home"))],
        ),
        (
            "⟦complete⟧tick ⟨R the flight⟩ ⟦retitle⟧and call ⟨R the flight⟩ ⟨N fly home⟩",
            [("complete_task", 1), ("update_task", (1, "fly home"))],
        ),
    ],
)
def test_of_orders_about_one_task_the_last_counts_and_a_report_gives_way(
    marked: str, made: list[tuple[str, object]]
) -> None:
    assert calls(marked, "The flight") == made


def test_an_order_that_points_back_makes_a_need_surer() -> None:
    marked = "⟦duty⟧I must ⟨T call Sam⟩, ⟦add⟧put that down"
    assert [call.name for call in draft(marked, margin=60).calls] == ["add_task"]
    asked = draft("⟦duty⟧I must ⟨T call Sam⟩", margin=60)
    assert not asked.calls
    assert asked.question == Question("whether", "add", title="call Sam")


@pytest.mark.parametrize(
    "marked",
    [
        "⟦chat⟧I don't know what came over me with that third one. ⟦delete⟧Delete it.",
        "⟦chat⟧The last item was a mistake. ⟦delete⟧Away with it.",
    ],
)
def test_it_is_the_task_whose_place_was_said_before(marked: str) -> None:
    assert calls(marked, "Wax the floor", "Ring Donna", "Learn the ukulele") == [("delete_task", 3)]
