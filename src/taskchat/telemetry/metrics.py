"""Metrics of this process, for Prometheus. No label holds a user, a text or an id."""

from typing import Final

from prometheus_client import Counter, Gauge

LIMITER_FAILURES: Final = Counter(
    "taskchat_limiter_failures_total",
    "Times that the rate limits could not be asked and a turn was let through.",
    ["what"],
)
WEBSOCKETS: Final = Gauge("taskchat_websockets", "WebSockets that are open.")
WEBSOCKET_CLOSES: Final = Counter(
    "taskchat_websocket_closes_total", "WebSockets that this service closed.", ["code"]
)
WEBSOCKET_FRAMES: Final = Counter(
    "taskchat_websocket_frames_total", "Frames that clients sent.", ["type"]
)
EVENT_STREAMS: Final = Gauge("taskchat_event_streams", "Event streams that are open.")
