"""All settings, built once and passed down. Related settings are checked against each other."""

import functools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from taskchat.settings.database_url import parse_address
from taskchat.settings.kinds import (
    OptionalAddress,
    OptionalLine,
    OptionalSecret,
    OptionalText,
    Seconds,
    line_or,
)
from taskchat.settings.languages import languages_of
from taskchat.settings.origins import Origins, origins_of
from taskchat.settings.prices import FREE, Prices, parse_prices
from taskchat.settings.webhook_secrets import read_secret

OFFLINE = "offline"
"""Name of the built-in model, in `TASKCHAT_MODEL` and in every answer it wrote."""

SCRIPTED = "scripted"
"""Name of the model that a script plays."""

BUILT_IN = frozenset({OFFLINE, SCRIPTED})
"""Models that are part of this process: they can't be away, and cost nothing to ask."""

JWT_SECRET_BYTES_MIN = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""

ACCOUNTS_ISSUER = "taskchat"
"""The `iss` of the tokens of built-in accounts, unless it is set."""

OWN_ADDRESSES = "127.0.0.1,::1"
"""The proxies that are trusted unless others are named: those on this machine, as by uvicorn."""

EMBEDDING_KEY_CHARS_MAX = 255
"""As long as the column that says which model a vector is of."""

ENV_FILE = Path(".env")
ENV_FILE_ENCODING = "utf-8-sig"
"""Some editors begin a file with a byte order mark, which is no part of the first name in it."""


class Settings(BaseSettings):
    """What can be configured. Names of the ecosystem are bare, ours begin with TASKCHAT_."""

    model_config = SettingsConfigDict(
        env_prefix="TASKCHAT_",
        env_file=ENV_FILE,
        env_file_encoding=ENV_FILE_ENCODING,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        # A refused value may be a password.
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    # --- where the data is ---
    database_url: OptionalSecret = Field(None, validation_alias=AliasChoices("DATABASE_URL"))
    """Postgres 15 or newer, as postgresql://user:password@host/name. `serve` needs it; without it
    `dev` starts an embedded one."""
    database_direct_url: OptionalSecret = None
    """The same database without a transaction pooler in between, for LISTEN and for migrations.
    Needed where DATABASE_URL is such a pooler; else DATABASE_URL serves for both."""
    db_pool_size: int = Field(10, ge=1, le=1000)
    """Connections of one process. A turn holds one for milliseconds, never while a model thinks."""
    db_line_max: int = Field(2000, ge=0, le=100_000)
    """Requests that may wait in line for one of them; one more is answered 503 before anything of
    it is stored. What belongs to accepted turns always may."""
    migration_lock_timeout_s: Seconds = 2
    """The longest a migration waits for a table, with whoever comes later waiting behind it; then
    it lets go and tries again. Shorter than the limit of a statement: the service only waits."""
    migration_attempts: int = Field(10, ge=1, le=1000)
    """How often it is tried, with pauses of up to 15 s between, before `migrate` fails."""
    migration_statement_timeout_s: float = Field(600, gt=0, le=86_400)
    """The longest one statement of a migration may take."""

    # --- which model answers ---
    openai_api_key: OptionalSecret = Field(None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    """Key of OpenAI, or of whoever speaks its API at OPENAI_BASE_URL."""
    openai_base_url: OptionalAddress = Field(None, validation_alias=AliasChoices("OPENAI_BASE_URL"))
    """Base address of an OpenAI-compatible service; unset means OpenAI itself."""
    openai_api: Literal["responses", "chat_completions"] = "responses"
    """Which of OpenAI's two interfaces is spoken; other vendors mostly have chat_completions."""
    model: OptionalText = None
    """A comma-separated chain of models, the first preferred; “offline” is the built-in one. Unset
    means the model of contracts/agent-config.yaml where OPENAI_API_KEY is set, else “offline”."""
    model_prices: OptionalText = None
    """What models cost, as JSON, in US dollars per million tokens: {"gpt-5.6-luna": {"input": 1.25,
    "cached_input": 0.125, "output": 10}}. Without cached_input all input costs the same. Calls of a
    model that has no price are counted without a cost; “offline” costs nothing."""
    agent_config_path: OptionalText = None
    """Another file in place of contracts/agent-config.yaml. It is read again when it changes."""
    offline_manner: OptionalText = None
    """How the offline model behaves, for building front ends: `delay=2, pace=0.05, fail=error`."""
    offline_header: bool = False
    """Whether a message may say so for itself, by the Offline-Model header; `dev` allows it."""

    script: OptionalText = None
    """A file that says what the model answers, turn by turn, for tests of what is built on this
    service: the model “scripted”, which then is the chain unless TASKCHAT_MODEL names one."""
    script_allowed: bool = False
    """Whether a script may play the model: that file, or the X-Taskchat-Script header of a message.
    `dev` allows it; nobody who is served by a real model should be answered by a test."""

    # --- who the caller is ---
    jwt_secret: OptionalSecret = None
    """Shared secret of HS256 tokens, at least 32 bytes. `serve` needs this, a JWKS address or
    TASKCHAT_ACCOUNTS."""
    jwt_jwks_url: OptionalAddress = None
    """Where the public keys of EdDSA, ES256 or RS256 tokens are published."""
    jwt_issuer: OptionalLine = None
    """The `iss` a token must carry; unset means any."""
    jwt_audience: OptionalLine = None
    """The `aud` a token must carry; unset means any."""

    allowed_origins: OptionalText = None
    """Comma-separated origins of pages, such as https://app.example.org, that browsers may use this
    service from, by HTTP and by WebSocket; https://*.example.org is any below that host, * any at
    all. The service's own origin always may."""

    hsts_s: int = Field(31_536_000, ge=0, le=315_360_000)
    """Seconds for which a browser that came by HTTPS comes by nothing else, as
    Strict-Transport-Security says: a year. 0 leaves the header to the proxy in front."""
    hsts_subdomains: bool = False
    """Whether that holds for all hosts below the service's own, too."""

    # --- the chat page ---
    page: bool = True
    """Whether the chat page is at `/`; without it that is 404, and the API is all there is."""
    page_user: OptionalLine = None
    """Whom the page signs in without asking, where a browser of whoever runs the service opens it
    on the same machine. For `dev`, which sets it; `serve` refuses to start with it."""

    # --- built-in accounts ---
    accounts: bool = False
    """Whether people can register here with an address and a password, for those who have no
    identity provider; `dev` allows it. Then `serve` needs no other setting for tokens."""
    accounts_issuer: Annotated[str, BeforeValidator(line_or(ACCOUNTS_ISSUER))] = ACCOUNTS_ISSUER
    """The `iss` of their tokens, and the `aud` where TASKCHAT_JWT_AUDIENCE is unset. Another name
    for each service if others check these tokens by the published keys."""
    accounts_secret: OptionalSecret = None
    """Encrypts the keys that sign their tokens, at least 32 bytes, so that a copy of the database
    can sign nothing. Unset means that only the database's roles guard them; another one means new
    keys."""
    accounts_access_ttl_s: int = Field(900, ge=60, le=3600)
    """Seconds for which an access token is good, also after its session was ended. Only deleting
    the account, or taking all keys back, ends it sooner."""
    accounts_refresh_idle_h: int = Field(336, ge=1, le=87_600)
    """Hours after which a session ends that is not refreshed."""
    accounts_session_h: int = Field(2160, ge=1, le=87_600)
    """Hours after which a session ends however often it is refreshed."""
    accounts_refresh_grace_s: float = Field(10, ge=0, le=3600)
    """Seconds for which a refresh token that was just spent is only refused: two tabs refresh at
    once. After that, who brings it has stolen it or was robbed, and its session ends."""
    accounts_sessions_max: int = Field(50, ge=1, le=1000)
    """Sessions of one account; with one more the one that was used least recently ends."""
    accounts_key_rotation_h: int = Field(720, ge=0, le=87_600)
    """Hours after which another key signs. 0 means only when `taskchat keys --rotate` says so."""
    accounts_password_chars_min: int = Field(8, ge=1, le=1024)
    """Characters of a new password. Its length is what counts; no kind of character is demanded."""
    accounts_password_chars_max: int = Field(1024, ge=64, le=10_000)
    """Characters of any password; a sentence fits."""
    accounts_hashes_at_once: int = Field(2, ge=1, le=64)
    """Passwords that one process hashes at once, each with 64 MiB and up to four threads; the rest
    of the processors is for turns."""
    accounts_hashes_waiting_max: int = Field(50, ge=0, le=10_000)
    """Passwords that may wait to be hashed; one more is answered 503 `overloaded`."""
    accounts_attempts_per_hour: int = Field(20, ge=0, le=1_000_000)
    """Wrong passwords an hour for one address of mail, known or not. A bucket of that many,
    refilled evenly and by the right password; 0 switches this off."""
    accounts_client_attempts_per_hour: int = Field(200, ge=0, le=1_000_000)
    """Registrations and wrong passwords an hour from one client address, of IPv6 its /64; 0
    switches this off."""
    accounts_refreshes_per_hour: int = Field(600, ge=0, le=1_000_000)
    """Refresh tokens of one account an hour, on all its devices; each is kept after it is spent, so
    that who brings it again is known for a thief. 0 switches this off."""
    forwarded_allow_ips: Annotated[str, BeforeValidator(line_or(OWN_ADDRESSES))] = Field(
        OWN_ADDRESSES, validation_alias=AliasChoices("FORWARDED_ALLOW_IPS")
    )
    """Comma-separated addresses or networks of the proxies in front, whose X-Forwarded-For says
    what a client's address is; * trusts everybody. The name is uvicorn's."""

    # --- times, each inside the next ---
    statement_timeout_s: Seconds = 5
    """The longest one SQL statement may take; Postgres' own default is for ever."""
    pool_timeout_s: Seconds = 5
    """How long a request waits in a line for connections that does not move before it answers 503.
    In one that moves it waits for its turn."""
    tool_timeout_s: Seconds = 10
    """The longest one tool call may take."""
    lease_s: Seconds = 15
    """How long a process keeps its turns without a sign of life. It gives six in that time, from a
    thread of its own; one whose session with the database ended loses them after a third of it."""
    lease_grace_s: Seconds = 15
    """How much longer it keeps them while that session is open: slow is not dead. A process whose
    event loop does not answer for longer than this stops renewing its lease."""
    model_timeout_s: Seconds = 30
    """The longest one attempt at a model call may take; the client's own default is 600."""
    queue_timeout_s: Seconds = 55
    """How long a request waits for earlier turns of its conversation, or for the turn that holds
    its Idempotency-Key, before it answers 409. The turn itself stays queued and is answered."""
    run_timeout_s: Seconds = 60
    """The longest one run of the agent may take, all its model and tool calls included."""
    drain_timeout_s: Seconds = 65
    """How long a stopping process finishes its turns before it hands the rest over."""

    # --- limits ---
    message_chars_max: int = Field(5000, ge=1, le=100_000)
    """Characters of one message, after trimming."""
    rating_comment_chars_max: int = Field(2000, ge=1, le=100_000)
    """Characters of the comment of one rating, after trimming."""
    steering_max: int = Field(20, ge=1, le=1000)
    """The most messages that one turn may be told while it is unfinished: each of them can cost
    one more model call, and a person who has more to say has another task in mind."""
    feedback_chars_max: int = Field(2000, ge=1, le=100_000)
    """Characters of what is answered to the agent, and of a comment on it, after trimming."""
    feedback_expires_s: int = Field(172_800, ge=1, le=31_536_000)
    """How long what the agent asks may be answered: two days, so that a weekend does not end it."""
    feedback_new_message: Literal["withdraw", "queue", "refuse"] = "withdraw"
    """What a message does while the agent waits for an answer in its conversation: withdraw what it
    asks, because people often just write on; wait for the answer; or be refused."""
    body_bytes_max: int = Field(65_536, ge=1024, le=10_485_760)
    """Bytes of one request body; 5,000 emoji fit three times over."""
    ui_body_bytes_max: int = Field(1_048_576, ge=1024, le=10_485_760)
    """Bytes of one message of an AI SDK or AG-UI client, which sends the whole chat along: it is
    not read, but it has to arrive."""
    snapshot_messages_max: int = Field(1000, ge=1, le=10_000)
    """Messages in a snapshot of a conversation for a client that has nothing of it; the newest."""
    import_bytes_max: int = Field(104_857_600, ge=1024, le=10_737_418_240)
    """Bytes of one import; it is read line by line, whatever its size."""
    import_line_bytes_max: int = Field(10_485_760, ge=1024, le=104_857_600)
    """Bytes of one line of an import: a turn with everything that its tools answered."""
    import_timeout_s: Seconds = 600
    """The longest an import may take to arrive, with what is stored meanwhile."""
    header_count_max: int = Field(100, ge=10, le=1000)
    """Headers of one request."""
    header_bytes_max: int = Field(16_384, ge=1024, le=65_536)
    """Bytes of all headers of one request, names and values."""
    header_timeout_s: Seconds = 10
    """The longest the headers of a request may take to arrive, and a new connection to begin."""
    body_timeout_s: Seconds = 30
    """The longest a request body may take to arrive."""
    model_retries_max: int = Field(2, ge=0, le=10)
    """How often a model call is made again at the same model after a failure that may pass: 408,
    409, 429, 5xx, a broken connection. Then the next model of the chain is asked."""
    model_retry_wait_max_s: float = Field(5, ge=0, le=3600)
    """The longest that a turn waits because a vendor said Retry-After; where it says more, the next
    model is asked at once."""
    breaker_failures: int = Field(5, ge=0, le=1000)
    """Failures in a row after which a process leaves a model alone; 0 switches this off."""
    breaker_open_s: Seconds = 30
    """How long it is left alone before one call is let through to see whether it is back."""
    model_calls_max: int = Field(10, ge=1, le=100)
    """Model calls of one turn; a run that needs more has lost its way."""
    tool_calls_max: int = Field(200, ge=1, le=1000)
    """Tool calls of one turn. “Delete them all” is one call a task."""
    tasks_max: int = Field(10_000, ge=1, le=1_000_000)
    """Tasks of one user, done ones included; one more is refused with 409, and a tool says so."""
    listed_chars_max: int = Field(100_000, ge=10_000, le=10_000_000)
    """Characters of the titles and descriptions that one answer of list_tasks shows; how many tasks
    there are it says in any case. It is the only tool whose answer grows."""
    requests_at_once_max: int = Field(500, ge=0, le=100_000)
    """Requests of one user that one process has under way at once, waiting ones and streams of all
    protocols included; one more is answered 429 `too_many_at_once`. 0 means any number."""
    exports_at_once_max: int = Field(4, ge=0, le=1000)
    """Exports and imports of one user that one process has under way at once, likewise."""
    history_tokens_max: int = Field(8000, ge=0, le=1_000_000)
    """Budget of the history given to a model, in tokens; whole turns, the newest first."""
    history_turns_max: int = Field(100, ge=0, le=1000)
    """The most turns of history that are read at all; keeps a long conversation as fast as a short
    one."""
    history_summary: bool = False
    """Whether what no longer fits the history is kept in short: one more model call now and then,
    made after a turn and never in its way."""
    conversation_titles: bool = False
    """Whether a model names each conversation: one more call, made after its first turn and never
    in its way. Without it the title is the beginning of the first message."""
    conversation_idle_h: int = Field(24, ge=0, le=8760)
    """Hours without a message after which an active conversation is paused; the next message makes
    it active again. 0 switches this off."""
    conversations_max: int = Field(100_000, ge=1, le=10_000_000)
    """Conversations of one user, ended and archived ones included; one more is refused with 409 and
    stored nowhere."""
    conversations_active_max: int = Field(0, ge=0, le=10_000)
    """Active conversations of one user; one more is refused with 409 and stored nowhere. 0 means
    any number."""
    versions_max: int = Field(100, ge=1, le=10_000)
    """Versions of one message, the first included; one more is refused with 409 and stored
    nowhere. 1 means that nothing can be edited or regenerated."""
    conversation_shares_max: int = Field(20, ge=0, le=1000)
    """Links of one conversation that are good at once; one more is refused with 409. 0 means that
    none are made; those that were made stay until they expire or are revoked."""
    share_expiry_default_h: int = Field(168, ge=1, le=87_600)
    """Hours until a link expires, if whoever makes it does not say: a week."""
    share_expiry_max_h: int = Field(720, ge=1, le=87_600)
    """The most hours for which a link may be made; a link that is forgotten ends by itself."""
    schedules_max: int = Field(100, ge=0, le=100_000)
    """Schedules of one user that have not ended; one more is refused with 409. 0 means that none
    are made; those that were made go on."""
    schedule_interval_min_s: int = Field(60, ge=1, le=86_400)
    """The least time between two occurrences of a rule: each is a turn, and costs one."""
    schedule_horizon_d: int = Field(3660, ge=1, le=36_600)
    """Days within which something has to be said first; ten years hold any 29th of February."""
    schedule_late: Literal["say", "skip"] = "say"
    """What becomes of an occurrence that nobody could say in time, because no process ran: it is
    said late, once for all that were missed, or not at all."""
    schedule_late_after_s: float = Field(300, ge=0, le=31_536_000)
    """How long after its time an occurrence is still on time."""
    schedule_look_s: Seconds = 5
    """Seconds after which each process looks for what is due."""
    schedule_retention_h: int = Field(720, ge=1, le=87_600)
    """Hours for which a schedule that has ended can still be seen: a month."""
    queue_max: int = Field(200, ge=0, le=10_000)
    """Turns of one conversation that may wait; one more is refused with 409 and stored nowhere."""
    idempotency_retention_h: int = Field(24, ge=24, le=8760)
    """Hours for which an Idempotency-Key answers with its first turn."""

    # --- searching ---
    search_chars_max: int = Field(500, ge=1, le=2000)
    """Characters of what is searched for, after trimming."""
    search_languages: OptionalText = "english"
    """Comma-separated languages in which a search knows a word by its other forms, such as
    “english,german”; words of all others are found as they are and by their beginning. The first
    one's words that say nothing, such as “the”, are not looked for. It may change at any time."""
    search_ranked_max: int = Field(200, ge=10, le=2000)
    """Of each kind of thing, the newest so many that a search finds are ranked."""

    search_compared_max: int = Field(20_000, ge=100, le=1_000_000)
    """Where meaning is compared, the newest so many of a user's messages are."""
    search_similarity_min: float = Field(0.3, ge=0, le=1)
    """The least cosine between what is searched for and a message that is found by its meaning.
    Models differ: too low finds anything, too high nothing."""
    embedding_model: OptionalText = None
    """A model of /v1/embeddings, such as text-embedding-3-small, by which searches compare meaning
    besides words. Messages are sent to it after they are stored. Unset means words alone."""
    embedding_dimensions: int = Field(0, ge=0, le=16_000)
    """Numbers of a vector, for models that can be asked for fewer; 0 is the model's own number.
    Fewer are compared faster."""
    embedding_base_url: OptionalAddress = None
    """Base address of the service that has the embedding model; unset means OPENAI_BASE_URL."""
    embedding_api_key: OptionalSecret = None
    """Key of that service; unset means OPENAI_API_KEY."""
    embedding_timeout_s: Seconds = 30
    """The longest that the vectors of one batch of messages may take."""
    embedding_query_timeout_s: Seconds = 2
    """The longest that a search waits for the vector of what is searched for; then it goes by words
    alone, and says so."""
    embedding_batch_max: int = Field(64, ge=1, le=2048)
    """Messages whose vectors are asked for at once."""
    embedding_message_chars_max: int = Field(8000, ge=100, le=100_000)
    """Characters of a message that its vector is made of; most models take 8,000 tokens."""

    # --- rate limits, of one user; 0 switches one off ---
    rate_user_per_minute: int = Field(30, ge=0, le=1_000_000)
    """Turns a minute in all. A bucket of that many, refilled evenly."""
    rate_conversation_per_minute: int = Field(10, ge=0, le=1_000_000)
    """Turns a minute in one conversation."""
    rate_channel_per_minute: int = Field(20, ge=0, le=1_000_000)
    """Turns a minute by one channel: rest, sse, websocket or schedule."""
    rate_tokens_per_minute: int = Field(100_000, ge=0, le=1_000_000_000)
    """Model tokens a minute, input and output. They are counted when a turn is over; what was
    overdrawn has to be refilled before the next one begins."""
    rate_mcp_per_minute: int = Field(120, ge=0, le=1_000_000)
    """Tool calls a minute of MCP clients, at /mcp. They are no turns and ask no model: each is one
    small transaction, and an agent makes several in a row."""

    # --- live: events, streams and sockets ---
    event_interval_s: float = Field(0.05, gt=0, le=10)
    """How often at most a turn's streamed text is written as an event. What comes first is written
    at once; every other event within a few milliseconds."""
    event_retention_h: int = Field(24, ge=1, le=8760)
    """Hours for which the events of a finished turn can be read again; its end always can."""
    sse_ping_s: Seconds = 15
    """Seconds of silence after which an event stream carries a comment, lest a proxy close it."""
    long_poll_s: Seconds = 20
    """Seconds that a request with `live=long-poll` waits for events before the answer is 204."""
    websocket_connections_max: int = Field(5, ge=1, le=1000)
    """WebSockets of one user, over all processes; one more is closed with 4029."""
    websocket_probe_s: Seconds = 2
    """Seconds that the sockets of a user who has no place left have to answer a ping; those that
    answer none are closed with 4008 and don't count."""
    websocket_frame_bytes_max: int = Field(65_536, ge=1024, le=10_485_760)
    """Bytes of one message from a client; a longer one closes the socket with 1009."""
    websocket_frames_per_minute: int = Field(300, ge=0, le=1_000_000)
    """Messages of any type that one socket may send in a minute; more are refused by an error
    frame. 0 switches this off."""
    websocket_queue_max: int = Field(1000, ge=10, le=100_000)
    """Frames that wait to be sent on one socket; a reader that lets more pile up is closed with
    1013 and can resume."""
    websocket_ping_s: Seconds = 30
    """Seconds between the server's pings; a peer that answers none for as long is gone."""
    websocket_stall_s: Seconds = 10
    """Seconds for which a peer may leave unread what the operating system holds for it; then its
    connection is cut."""
    websocket_idle_timeout_s: Seconds = 600
    """Seconds without a message from the client, and without a turn under way, after which a
    socket is closed with 4008."""

    # --- housekeeping ---
    chore_interval_s: Seconds = 300
    """Seconds after which each chore of housekeeping is done again, by whichever process comes
    first. It harms nobody if something is kept five minutes longer than it must be."""
    chore_rows_max: int = Field(1000, ge=1, le=100_000)
    """Rows that one of its transactions changes; after failures fewer. What is left comes next."""
    chore_statement_timeout_s: Seconds = 2
    """The longest one of its statements may take, if TASKCHAT_STATEMENT_TIMEOUT_S is not shorter
    still: a turn that comes meanwhile may find the connection taken."""

    # --- webhooks ---
    webhooks_max: int = Field(10, ge=0, le=1000)
    """Webhooks of one user; one more is refused with 409. 0 means that none are made; those that
    were made stay."""
    webhook_url_chars_max: int = Field(2048, ge=20, le=8192)
    """Characters of a webhook's address."""
    webhook_url: OptionalAddress = None
    """Where the events of all users are sent, too. It is whoever runs the service that names it:
    it may be a private address, and http."""
    webhook_secret: OptionalSecret = None
    """What those are signed with: whsec_ and the base64 of 24 to 64 bytes."""
    webhook_private_addresses: bool = False
    """Whether users' webhooks may be at private addresses, this machine's included, and http. For
    development: on a server it opens everything that the server can reach to its users."""
    webhook_interval_s: Seconds = 1
    """Seconds between looks for what is to be sent, halved at random."""
    webhook_timeout_s: Seconds = 10
    """The longest that one attempt may take, resolving and connecting included."""
    webhook_concurrency: int = Field(8, ge=1, le=256)
    """Attempts that one process makes at once."""
    webhook_hook_concurrency: int = Field(4, ge=1, le=256)
    """Attempts at one webhook at once, over all processes: a slow one leaves room for others."""
    webhook_retry_s: Seconds = 5
    """Seconds until an attempt that failed is repeated; twice as long each time."""
    webhook_retry_max_s: Seconds = 3600
    """The longest time between two attempts, and the most that a Retry-After is followed."""
    webhook_retry_h: int = Field(24, ge=1, le=720)
    """Hours for which an event is tried; then it is dead, and sent only if somebody replays it."""
    webhook_pause_h: int = Field(24, ge=1, le=720)
    """Hours without any success after which a webhook is paused: what waits for it is kept."""
    webhook_pending_max: int = Field(10_000, ge=1, le=1_000_000)
    """Events that may wait for one webhook. With more it is paused, and no more are noted for it
    until it is made active again."""
    webhook_secret_overlap_h: int = Field(24, ge=0, le=720)
    """Hours for which the secret before signs, too, after it was replaced."""
    webhook_delivered_retention_h: int = Field(72, ge=1, le=8760)
    """Hours for which a delivery that arrived is listed."""
    webhook_dead_retention_h: int = Field(720, ge=1, le=8760)
    """Hours for which a dead one is listed, and can be replayed."""

    # --- running it ---
    mcp: bool = True
    """Whether MCP clients may call the task tools at /mcp, with the token of their user."""
    openai_routes: bool = True
    """Whether clients of OpenAI's interfaces may talk to the assistant at /v1, with the token of
    their user as their key."""
    api_docs: bool = True
    """Whether /docs, /openapi.json, /llms.txt and the pages that they name are served. They say
    nothing of any user; a service that only programs know of needs none of them."""
    metrics: bool = True
    """Whether /metrics gives the figures of this process, without a token; without it that is 404,
    for a service that no Prometheus looks at, or whose proxy keeps nothing private."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe log line that is written, to stderr."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """How logs look; auto is console on a terminal and JSON elsewhere."""
    otlp_endpoint: OptionalAddress = Field(
        None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """Where traces are sent: the address of an OpenTelemetry collector that takes OTLP over HTTP.
    Unset means that there are none. It needs the extra `otel`."""
    trace_content: bool = False
    """Whether traces hold what was said: instructions, messages, arguments and results of tools."""
    server_timing: bool = True
    """Whether answers say in a Server-Timing header what their time went to."""

    @model_validator(mode="after")
    def _secrets_are_long_enough(self) -> Self:
        for field in ("jwt_secret", "accounts_secret"):
            secret: SecretStr | None = getattr(self, field)
            if secret and len(secret.get_secret_value().encode()) < JWT_SECRET_BYTES_MIN:
                raise ValueError(
                    f"{variable_name(field)} needs at least {JWT_SECRET_BYTES_MIN} bytes; "
                    'make one with python -c "import secrets; print(secrets.token_urlsafe(48))"'
                )
        return self

    @model_validator(mode="after")
    def _page_can_sign_in(self) -> Self:
        if self.page_user is not None and self.jwt_secret is None:
            raise ValueError("TASKCHAT_PAGE_USER needs TASKCHAT_JWT_SECRET, which signs its token")
        return self

    @model_validator(mode="after")
    def _issuers_differ(self) -> Self:
        if self.accounts and self.jwt_issuer == self.accounts_issuer:
            raise ValueError(
                "TASKCHAT_ACCOUNTS_ISSUER must differ from TASKCHAT_JWT_ISSUER: they are two "
                "issuers, each with keys of its own"
            )
        return self

    @model_validator(mode="after")
    def _passwords_can_exist(self) -> Self:
        if self.accounts_password_chars_min > self.accounts_password_chars_max:
            raise ValueError(
                "TASKCHAT_ACCOUNTS_PASSWORD_CHARS_MIN must be <= "
                "TASKCHAT_ACCOUNTS_PASSWORD_CHARS_MAX"
            )
        return self

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            parse_address(value.get_secret_value())
        return value

    @field_validator("openai_api_key", "embedding_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value else ""
        if not key.isascii() or " " in key:
            raise ValueError("there is a character in it that no key has; copy it again")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: str | None) -> str | None:
        if value is not None:
            origins_of(value)
        return value

    @field_validator("search_languages")
    @classmethod
    def _are_languages(cls, value: str | None) -> str | None:
        languages_of(value or "")
        return value

    @field_validator("model_prices")
    @classmethod
    def _are_prices(cls, value: str | None) -> str | None:
        if value is not None:
            parse_prices(value)
        return value

    @model_validator(mode="after")
    def _times_are_in_order(self) -> Self:
        """An inner limit strikes before the outer one, or its error is never seen."""
        for smaller, comparison, larger in (
            ("statement_timeout_s", "<=", "pool_timeout_s"),
            ("pool_timeout_s", "<", "tool_timeout_s"),
            ("tool_timeout_s", "<", "model_timeout_s"),
            ("model_timeout_s", "<", "run_timeout_s"),
            ("queue_timeout_s", "<", "run_timeout_s"),
            ("run_timeout_s", "<", "drain_timeout_s"),
            ("share_expiry_default_h", "<=", "share_expiry_max_h"),
            ("webhook_retry_s", "<=", "webhook_retry_max_s"),
        ):
            low, high = getattr(self, smaller), getattr(self, larger)
            if low > high or (comparison == "<" and low == high):
                raise ValueError(
                    f"TASKCHAT_{smaller.upper()} ({low:g}) must be {comparison} "
                    f"TASKCHAT_{larger.upper()} ({high:g})"
                )
        return self

    @model_validator(mode="after")
    def _embedding_model_can_be_asked(self) -> Self:
        if self.embedding_model is None:
            return self
        if len(self.embedding_key) > EMBEDDING_KEY_CHARS_MAX:
            raise ValueError("TASKCHAT_EMBEDDING_MODEL is too long for the name of a model")
        if not any(
            (
                *(self.openai_api_key, self.openai_base_url),
                *(self.embedding_api_key, self.embedding_base_url),
            )
        ):
            raise ValueError(
                "TASKCHAT_EMBEDDING_MODEL needs TASKCHAT_EMBEDDING_API_KEY or OPENAI_API_KEY, or "
                "TASKCHAT_EMBEDDING_BASE_URL for a server without keys"
            )
        return self

    @model_validator(mode="after")
    def _operators_webhook_can_be_signed(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("TASKCHAT_WEBHOOK_URL and TASKCHAT_WEBHOOK_SECRET need each other")
        if self.webhook_secret is not None:
            try:
                read_secret(self.webhook_secret.get_secret_value())
            except ValueError as error:
                raise ValueError(f"TASKCHAT_WEBHOOK_SECRET {error}") from error
        return self

    @property
    def embedding_key(self) -> str:
        """What the embedding model's vectors are known by; empty if there is no model."""
        dimensions = f" {self.embedding_dimensions}" if self.embedding_dimensions else ""
        return f"{self.embedding_model or ''}{dimensions}"

    @property
    def model_chain(self) -> list[str]:
        """Names of `TASKCHAT_MODEL`, the preferred first; empty when it is unset."""
        return [name.strip() for name in (self.model or "").split(",") if name.strip()]

    @property
    def prices(self) -> Prices:
        """The prices of `TASKCHAT_MODEL_PRICES`; the built-in model costs nothing unless listed."""
        return {OFFLINE: FREE, **parse_prices(self.model_prices or "{}")}

    @property
    def active_max(self) -> int | None:
        """The most active conversations of one user; None means any number."""
        return self.conversations_active_max or None

    @property
    def direct_url(self) -> SecretStr | None:
        """The address for LISTEN and migrations."""
        return self.database_direct_url or self.database_url

    @property
    def languages(self) -> list[str]:
        """The languages of `TASKCHAT_SEARCH_LANGUAGES`, the first one preferred."""
        return languages_of(self.search_languages or "")

    @property
    def origins(self) -> Origins:
        """The origins of `TASKCHAT_ALLOWED_ORIGINS`."""
        return origins_of(self.allowed_origins or "")

    @property
    def accounts_audience(self) -> str:
        """The `aud` of the tokens of built-in accounts."""
        return self.jwt_audience or self.accounts_issuer

    @functools.cached_property
    def has_identity(self) -> bool:
        """Whether any token at all could be verified."""
        return bool(self.jwt_secret or self.jwt_jwks_url or self.accounts)


def variable_name(field: str) -> str:
    """The environment variable of a setting: `lease_s` is TASKCHAT_LEASE_S.

    Also takes a variable's own name, by which pydantic calls a setting that has an alias.
    """
    if field not in Settings.model_fields:
        return field
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"TASKCHAT_{field.upper()}"
