"""What is around the turns: tasks, links, schedules, webhooks, searches, limits, accounts."""

from decimal import Decimal
from typing import Final

from pydantic import BaseModel

from taskchat.accounts.schemas import AccountOut, KeySet, PublishedKey, SessionOut, TokensOut
from taskchat.http.health import Live, Ready
from taskchat.limits.schemas import LimitsOut, RateLevelOut
from taskchat.portability.schemas import Brought, ImportOut, LeftOut
from taskchat.reference.examples.story import (
    ACCESS_TOKEN,
    ADDRESS,
    BEGAN,
    CONVERSATION,
    DELIVERY,
    MESSAGE,
    REFRESH_TOKEN,
    SAID,
    SCHEDULE,
    SECRET,
    SESSION,
    SHARE,
    SHARE_TOKEN,
    TURN,
    WEBHOOK,
    after,
)
from taskchat.schedules.schemas import ScheduleOut
from taskchat.search.schemas import ExcerptPart, Hit, HitPage
from taskchat.sharing.schemas import (
    MadeShare,
    SharedConversation,
    SharedMessage,
    SharedToolCall,
    ShareOut,
)
from taskchat.tasks.schemas import TaskOut
from taskchat.usage.schemas import Counts, DayUsage, ModelUsage, UsageOut
from taskchat.webhooks.schemas import DeliveryOut, WebhookOut, WebhookWithSecret

TASK: Final = TaskOut(
    id=1,
    title="Buy groceries",
    description="Milk, bread, apples",
    completed=False,
    created_at=BEGAN,
    updated_at=BEGAN,
)

SHARED: Final = ShareOut(
    id=SHARE,
    title="Groceries",
    turns=1,
    with_tool_calls=False,
    created_at=after(hours=1),
    expires_at=after(days=7, hours=1),
)

SHARED_CALL: Final = SharedToolCall(
    tool_name="add_task",
    parameters={"title": "Buy groceries"},
    result={"task_id": 1, "status": "created", "title": "Buy groceries"},
    status="completed",
    executed_at=after(seconds=1.2),
)

SHARED_MESSAGE: Final = SharedMessage(
    role="user", content=SAID, created_at=BEGAN, interrupted=False, tool_calls=None
)

HOOK: Final = WebhookOut(
    id=WEBHOOK,
    url="https://hooks.example.org/taskchat",
    events=["turn.completed", "turn.failed"],
    status="active",
    paused_reason=None,
    paused_at=None,
    failing_since=None,
    pending=0,
    created_at=after(hours=2),
)

EXCERPT: Final = [
    ExcerptPart(text="Add task: Buy ", match=False),
    ExcerptPart(text="groceries", match=True),
]

HIT: Final = Hit(
    kind="message",
    conversation_id=CONVERSATION,
    turn_id=TURN,
    message_id=MESSAGE,
    task_id=None,
    role="user",
    title="Groceries",
    excerpt=EXCERPT,
    score=0.0164,
    created_at=BEGAN,
)

LEVEL: Final = RateLevelOut(
    scope="user", limit=30, remaining=29, reset_at=1_795_253_402, retry_after=0
)

COUNTS: Final = Counts(
    turns=1,
    model_calls=2,
    input_tokens=1130,
    cached_input_tokens=0,
    output_tokens=38,
    cost=Decimal("0.0017925"),
    unpriced_calls=0,
)

MODEL_USAGE: Final = ModelUsage(
    model="gpt-5.6-luna", **COUNTS.model_dump(exclude={"cost"}), cost=COUNTS.cost
)

DAY: Final = DayUsage(
    day=BEGAN.date(), models=[MODEL_USAGE], **COUNTS.model_dump(exclude={"cost"}), cost=COUNTS.cost
)

BROUGHT: Final = Brought(added=1, known=0)

LEFT_OUT: Final = LeftOut(type="usage_day", lines=1, reason="usage is not imported")

KEY: Final = PublishedKey(
    kid="taskchat-01a1fbec",
    kty="OKP",
    crv="Ed25519",
    x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    alg="EdDSA",
    use="sig",
)

EXAMPLES: Final[tuple[BaseModel, ...]] = (
    TASK,
    SHARED,
    MadeShare(**SHARED.model_dump(), token=SHARE_TOKEN),
    SHARED_CALL,
    SHARED_MESSAGE,
    SharedConversation(
        data=[SHARED_MESSAGE],
        has_more=False,
        next_cursor=None,
        title="Groceries",
        with_tool_calls=False,
        shared_at=after(hours=1),
        expires_at=after(days=7, hours=1),
    ),
    ScheduleOut(
        id=SCHEDULE,
        conversation_id=None,
        message="What is due today?",
        at=None,
        rule="FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
        time_zone="Europe/Berlin",
        start=None,
        status="active",
        end_reason=None,
        next_at=after(hours=21, minutes=30),
        last_at=None,
        last_turn_id=None,
        last_error=None,
        created_at=BEGAN,
        updated_at=BEGAN,
    ),
    HOOK,
    WebhookWithSecret(**HOOK.model_dump(), secret=SECRET),
    DeliveryOut(
        id=DELIVERY,
        event="turn.completed",
        conversation_id=CONVERSATION,
        turn_id=TURN,
        task_id=None,
        status="delivered",
        attempts=1,
        last_status=204,
        last_error=None,
        next_at=None,
        created_at=after(hours=2),
        finished_at=after(hours=2, seconds=1),
    ),
    EXCERPT[1],
    HIT,
    HitPage(data=[HIT], has_more=False, next_cursor=None, semantic=False, corrected=None),
    LEVEL,
    LimitsOut(limits=[LEVEL]),
    COUNTS,
    MODEL_USAGE,
    DAY,
    UsageOut(data=[DAY], total=COUNTS),
    BROUGHT,
    LEFT_OUT,
    ImportOut(lines=6, conversations=BROUGHT, turns=BROUGHT, tasks=BROUGHT, left_out=[LEFT_OUT]),
    TokensOut(
        user_id=f"account-{CONVERSATION}",
        access_token=ACCESS_TOKEN,
        refresh_token=REFRESH_TOKEN,
        expires_in=900,
    ),
    AccountOut(
        user_id=f"account-{CONVERSATION}",
        email=ADDRESS,
        created_at=BEGAN,
        password_changed_at=BEGAN,
    ),
    SessionOut(
        id=SESSION,
        user_agent="Mozilla/5.0 (X11; Linux x86_64)",
        created_at=BEGAN,
        used_at=after(hours=3),
        expires_at=after(days=14, hours=3),
        current=True,
    ),
    KEY,
    KeySet(keys=[KEY]),
    Live(),
    Ready(status="ok", database=True, migrations=True, draining=False),
)
"""Of each schema, one."""
