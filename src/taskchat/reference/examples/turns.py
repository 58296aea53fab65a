"""Turns: what is said, what the assistant does and answers, what it asks."""

from typing import Final

from pydantic import BaseModel

from taskchat.conversations.schemas import ConversationOut, ListedMessage, MessageOut, ToolCallOut
from taskchat.feedback.schemas import AskedCallOut, CallAnswer, FeedbackOut
from taskchat.ratings.schemas import RatingOut
from taskchat.reference.examples.story import (
    ASKING_CALL,
    ASKING_TURN,
    BEGAN,
    CALL,
    CONVERSATION,
    FEEDBACK,
    MESSAGE,
    REPLIED,
    REPLY,
    SAID,
    TURN,
    VERSION_TURN,
    after,
)
from taskchat.turns.schemas import (
    AwaitingAnswer,
    ChatAnswer,
    ListedTurn,
    SteerAnswer,
    SteeredOut,
    TurnOut,
    Usage,
    VersionAnswer,
    VersionOut,
)
from taskchat.usage.schemas import ModelCallOut

CALLED: Final = ToolCallOut(
    id=CALL,
    tool_name="add_task",
    parameters={"title": "Buy groceries"},
    result={"task_id": 1, "status": "created", "title": "Buy groceries"},
    status="completed",
    executed_at=after(seconds=1.2),
)

QUESTION: Final = MessageOut(
    id=MESSAGE,
    turn_id=TURN,
    role="user",
    content=SAID,
    created_at=BEGAN,
    interrupted=False,
    tool_calls=[],
)

ANSWER: Final = MessageOut(
    id=REPLY,
    turn_id=TURN,
    role="assistant",
    content=REPLIED,
    created_at=after(seconds=2.1),
    interrupted=False,
    tool_calls=[CALLED],
)

RATING: Final = RatingOut(value="up", comment="Just what I meant.", rated_at=after(minutes=1))

USAGE: Final = Usage(model_calls=2, input_tokens=1130, output_tokens=38)

CHAT: Final = ChatAnswer(
    conversation_id=CONVERSATION,
    turn_id=TURN,
    response=REPLIED,
    tool_calls=[CALLED],
    messages=[QUESTION, ANSWER],
    has_more=False,
    model="gpt-5.6-luna",
    usage=USAGE,
)

MODEL_CALL: Final = ModelCallOut(
    model="gpt-5.6-luna",
    input_tokens=540,
    cached_input_tokens=0,
    output_tokens=21,
    duration_ms=870,
    cost=None,
)

ASKED_CALL: Final = AskedCallOut(
    tool_call_id=ASKING_CALL,
    tool_name="delete_task",
    arguments={"task_id": 1},
    subject="Buy groceries",
    answer=None,
    comment=None,
    edited_arguments=None,
)

ASKED: Final = FeedbackOut(
    id=FEEDBACK,
    conversation_id=CONVERSATION,
    turn_id=ASKING_TURN,
    kind="approval",
    question="May I do this? delete task 1 “Buy groceries”",
    choices=[],
    calls=[ASKED_CALL],
    status="open",
    answer=None,
    comment=None,
    channel=None,
    asked_at=after(minutes=5),
    expires_at=after(days=2, minutes=5),
    closed_at=None,
)

VERSION: Final = VersionOut(
    of=TURN,
    number=2,
    changes_kept=1,
    note="Task changes of the turns that this branch leaves out were not undone: 1.",
)

STEERED: Final = SteeredOut(id=MESSAGE, content="and oat milk", created_at=after(seconds=0.8))

LISTED: Final = ListedTurn(
    id=TURN,
    conversation_id=CONVERSATION,
    number=1,
    channel="rest",
    status="completed",
    version_of=None,
    message=SAID,
    created_at=BEGAN,
    started_at=after(seconds=0.1),
    finished_at=after(seconds=2.1),
)

EXAMPLES: Final[tuple[BaseModel, ...]] = (
    CALLED,
    ANSWER,
    RATING,
    USAGE,
    CHAT,
    MODEL_CALL,
    ASKED_CALL,
    ASKED,
    VERSION,
    STEERED,
    LISTED,
    CallAnswer(answer="reject", comment="That one I still need."),
    ListedMessage(**ANSWER.model_dump(), versions=[], rating=RATING),
    ConversationOut(
        id=CONVERSATION,
        title="Groceries",
        status="active",
        archived=False,
        turns=1,
        branch=None,
        summary=None,
        created_at=BEGAN,
        updated_at=after(seconds=2.1),
    ),
    AwaitingAnswer(conversation_id=CONVERSATION, turn_id=ASKING_TURN, feedback=ASKED),
    VersionAnswer(
        **CHAT.model_copy(update={"turn_id": VERSION_TURN}).model_dump(), version=VERSION
    ),
    SteerAnswer(steered=True, turn_id=TURN, message_id=MESSAGE, conversation_id=CONVERSATION),
    TurnOut(
        **LISTED.model_dump(),
        steered=[],
        reply=REPLIED,
        tool_calls=[CALLED],
        feedback=[],
        error=None,
        model="gpt-5.6-luna",
        usage=USAGE,
        model_calls=[MODEL_CALL],
        cost=None,
    ),
)
"""Of each schema, one."""
