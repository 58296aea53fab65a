"""Headers and methods that mean something here: what pages of other origins may use of them."""

from typing import Final

IDEMPOTENCY_HEADER: Final = "Idempotency-Key"

LAST_EVENT_HEADER: Final = "Last-Event-ID"

TIME_ZONE_HEADER: Final = "Time-Zone"
"""As in GitHub's API; HTTP itself has no such header."""

OFFLINE_HEADER: Final = "Offline-Model"
"""How the built-in model should behave for this message, for those who build against it."""

SCRIPT_HEADER: Final = "X-Taskchat-Script"
"""What the model says to this message, for tests of what is built on this service."""

LANGUAGE_HEADER: Final = "Accept-Language"
"""Defined by HTTP."""

MCP_HEADERS: Final = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name")
"""What MCP clients say of a message besides; defined by that protocol."""

OPENAI_HEADERS: Final = (
    "OpenAI-Beta",
    "OpenAI-Organization",
    "OpenAI-Project",
    "X-Stainless-Arch",
    "X-Stainless-Custom-Poll-Interval",
    "X-Stainless-Helper-Method",
    "X-Stainless-Lang",
    "X-Stainless-OS",
    "X-Stainless-Package-Version",
    "X-Stainless-Poll-Helper",
    "X-Stainless-Retry-Count",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Timeout",
)
"""What OpenAI's client says of itself in a page. Nothing of it is read."""

CONVERSATION_HEADER: Final = "X-Conversation-Id"
"""The conversation of a chat completion, whose request has no better place for it."""

SHOULD_RETRY_HEADER: Final = "X-Should-Retry"
"""Tells OpenAI's clients, which repeat failed requests unasked, whether to."""

STREAM_HEADERS: Final = {
    "Stream-Next-Offset": "Where to read on.",
    "Stream-Up-To-Date": "`true` if this is all that there is so far.",
    "Stream-Closed": "`true` if nothing will follow.",
    "Stream-Cursor": "To be sent back as `cursor` with the next request that waits.",
}
"""What Durable Streams clients go by; defined by that protocol."""

NONE_MATCH_HEADER: Final = "If-None-Match"
"""Defined by HTTP: what the client has already, by its ETag."""

HINTS: Final = frozenset({TIME_ZONE_HEADER, LANGUAGE_HEADER})
"""What a request may leave out or get wrong."""

REQUEST_ID_HEADER: Final = "X-Request-ID"
"""Names the request in every answer, for whoever reads our logs."""

REPLAYED_HEADER: Final = "Idempotent-Replayed"
"""Says that an answer was given before, to the same Idempotency-Key."""

RATE_HEADERS: Final = {
    "X-RateLimit-Limit": "Turns a minute that the tightest of the user's limits allows.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When all of them are back, in seconds since 1970.",
}
"""What every answer to a message carries."""

RESPONSE_HEADERS: Final = (
    REQUEST_ID_HEADER,
    REPLAYED_HEADER,
    "Retry-After",
    "WWW-Authenticate",
    "Allow",
    "Content-Disposition",
    CONVERSATION_HEADER,
    SHOULD_RETRY_HEADER,
    "ETag",
    *RATE_HEADERS,
    *STREAM_HEADERS,
)
"""Headers of answers that a client acts on."""

REQUEST_HEADERS: Final = (
    "Accept",
    "Authorization",
    "Content-Type",
    IDEMPOTENCY_HEADER,
    TIME_ZONE_HEADER,
    LANGUAGE_HEADER,
    OFFLINE_HEADER,
    SCRIPT_HEADER,
    LAST_EVENT_HEADER,
    CONVERSATION_HEADER,
    NONE_MATCH_HEADER,
    *MCP_HEADERS,
    *OPENAI_HEADERS,
)
"""Headers of requests that mean something here."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""Methods of requests; one that an address does not take is answered with 405."""
