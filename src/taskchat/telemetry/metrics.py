"""Metrics of this process, for Prometheus. No label holds a user, a text or an id."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

INFO: Final = Gauge("taskchat_info", "1, of the release that serves.", ["version"])
HTTP_REQUESTS: Final = Counter(
    "taskchat_http_requests_total",
    "Answers over HTTP, by the route's template.",
    ["route", "method", "status"],
)
HTTP_SECONDS: Final = Histogram(
    "taskchat_http_seconds",
    "From a request's head to the head of its answer, by the route's template.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150),
)
HTTP_UNDER_WAY: Final = Gauge(
    "taskchat_http_requests_under_way", "Requests whose answer is not whole, streams included."
)
CONNECTIONS_REFUSED: Final = Counter(
    "taskchat_connections_refused_total",
    "Requests that were refused before they were whole: too slow, too large, or not HTTP.",
    ["error_code"],
)
TURNS: Final = Counter(
    "taskchat_turns_total",
    "Turns that ended here, or that wait for their user, by how their message came in.",
    ["outcome", "channel"],
)
TURN_FAILURES: Final = Counter(
    "taskchat_turn_failures_total", "Turns that ended here with an error.", ["error_code"]
)
TURN_SECONDS: Final = Histogram(
    "taskchat_turn_seconds",
    "How long a turn ran here, from its beginning to the commit of its end.",
    ["outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
)
TURN_QUEUE_SECONDS: Final = Histogram(
    "taskchat_turn_queue_seconds",
    "How long a turn waited here for earlier ones of its conversation before it first ran.",
    buckets=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300),
)
TURNS_UNDER_WAY: Final = Gauge(
    "taskchat_turns_under_way",
    "Turns that this process sees to their end: it runs them, or waits until they can run.",
)
TURNS_RUNNING: Final = Gauge("taskchat_turns_running", "Turns that this process runs.")
TOOL_CALLS: Final = Counter(
    "taskchat_tool_calls_total",
    "Tool calls whose outcome is known, of turns and of MCP clients.",
    ["tool", "outcome", "caller"],
)
TOOL_SECONDS: Final = Histogram(
    "taskchat_tool_seconds",
    "How long tool calls took, with the commit of their effect.",
    ["tool"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LIMITER_FAILURES: Final = Counter(
    "taskchat_limiter_failures_total",
    "Times that the rate limits could not be asked and a turn was let through.",
    ["what"],
)
LOG_LINES_DROPPED: Final = Counter(
    "taskchat_log_lines_dropped_total",
    "Log lines that nobody took and that were too many to wait.",
)
MODEL_TOKENS: Final = Counter(
    "taskchat_model_tokens_total",
    "Tokens of the models' answers; cached_input is a part of input.",
    ["model", "direction"],
)
WEBSOCKETS: Final = Gauge("websocket_active_connections", "WebSockets that are open.")
WEBSOCKET_CLOSES: Final = Counter(
    "taskchat_websocket_closes_total", "WebSockets that this service closed.", ["code"]
)
WEBSOCKET_FRAMES: Final = Counter(
    "websocket_messages_received_total", "Frames that clients sent.", ["type"]
)
WEBSOCKET_ERRORS: Final = Counter(
    "websocket_errors_total", "Frames that said that something was refused or failed.", ["code"]
)
WEBSOCKET_RECONNECTIONS: Final = Counter(
    "websocket_reconnections_total", "WebSockets whose client resumed a turn that it had followed."
)
EVENT_STREAMS: Final = Gauge("taskchat_event_streams", "Event streams that are open.")
HEARTBEAT_AGE: Final = Gauge(
    "taskchat_heartbeat_age_seconds", "Since the database last heard that this process lives."
)
LEASES_LAPSED: Final = Counter(
    "taskchat_leases_lapsed_total",
    "Times that this process gave no sign of life for longer than a lease.",
)
TAKEOVERS: Final = Counter(
    "taskchat_takeovers_total",
    "Turns that this process took up from another, or once more, by what became of their owner.",
    ["reason"],
)
TURNS_LOST: Final = Counter(
    "taskchat_turns_lost_total",
    "Runs that this process gave up, because another has the turn or somebody cancelled it.",
)
MODEL_FAILURES: Final = Counter(
    "taskchat_model_failures_total",
    "Attempts at a model that failed, by HTTP status, “timeout”, or kind of error.",
    ["model", "reason"],
)
MODEL_BREAKER_OPEN: Final = Gauge(
    "taskchat_model_breaker_open", "1 while a model that kept failing is left alone.", ["model"]
)
MODEL_SECONDS: Final = Histogram(
    "taskchat_model_seconds",
    "How long models took to answer one call.",
    ["model"],
    buckets=(0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
LINE_WAITING: Final = Gauge(
    "taskchat_database_line_waiting", "What waits for a database connection.", ["precedence"]
)
LINE_SERVED: Final = Gauge(
    "taskchat_database_connections_used", "Database connections that are in use."
)
LINE_SECONDS: Final = Histogram(
    "taskchat_database_line_seconds",
    "How long work waited for a database connection.",
    ["precedence"],
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120),
)
CONNECTIONS_OPEN: Final = Gauge(
    "taskchat_database_connections_open", "Database connections of the pool, idle ones included."
)
CONNECTIONS_MAX: Final = Gauge(
    "taskchat_database_connections_max", "The most connections that the pool may have."
)
DATABASE_FAULTS: Final = Counter(
    "taskchat_database_faults_total",
    "Calls of the database that failed, by SQLSTATE, or “connection” where the server said none.",
    ["sqlstate"],
)
LISTENING: Final = Gauge(
    "taskchat_listening", "1 while notifications arrive; 0 while all that waits polls."
)
LINE_REFUSED: Final = Counter(
    "taskchat_database_line_refused_total", "Requests that were refused because the line was full."
)
PERIODIC: Final = Counter(
    "taskchat_periodic_total",
    "Times that work was done that is repeated for as long as the service lives.",
    ["work", "outcome"],
)
CHORE_ROWS: Final = Counter(
    "taskchat_chore_rows_total", "Rows that housekeeping deleted or changed.", ["chore"]
)
CHORE_RUNS: Final = Counter(
    "taskchat_chore_runs_total",
    "Times that this process was at a chore of housekeeping: done, failed, or lost to another.",
    ["chore", "outcome"],
)
CHORE_SECONDS: Final = Histogram(
    "taskchat_chore_seconds",
    "How long this process was at a chore, its pauses included.",
    ["chore"],
    buckets=(0.01, 0.1, 0.5, 1, 5, 10, 60, 300, 1800),
)
CHORE_FINISHED: Final = Gauge(
    "taskchat_chore_finished_timestamp_seconds",
    "When a chore was last done, by whichever process, as this one last saw.",
    ["chore"],
)
SCHEDULES: Final = Counter(
    "taskchat_schedules_total",
    "What became of occurrences that were due: said, late (said all the same), skipped, failed (to "
    "be tried again), or ended.",
    ["outcome"],
)
SIGN_INS: Final = Counter(
    "taskchat_sign_ins_total", "What became of attempts to sign in to accounts.", ["outcome"]
)
EMBEDDINGS: Final = Counter(
    "taskchat_embeddings_total",
    "Messages whose vectors were made, or that the embedding model did not take.",
    ["outcome"],
)
EMBEDDING_FAILURES: Final = Counter(
    "taskchat_embedding_failures_total",
    "Times that the embedding model gave no vectors, by HTTP status, “timeout”, or kind of error.",
    ["reason"],
)
WEBHOOKS: Final = Counter(
    "taskchat_webhook_attempts_total",
    "Attempts at telling a webhook: sent, failed, or dead after the last one.",
    ["outcome"],
)
WEBHOOK_SECONDS: Final = Histogram(
    "taskchat_webhook_seconds",
    "How long attempts at webhooks took.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WEBHOOKS_PAUSED: Final = Counter(
    "taskchat_webhooks_paused_total", "Webhooks that were paused, by why.", ["reason"]
)
WEBHOOK_LAG: Final = Gauge(
    "taskchat_webhook_lag_seconds", "For how long the longest due delivery has waited."
)
SEARCHES: Final = Counter(
    "taskchat_searches_total", "Pages of searches, by what was compared.", ["compared"]
)
