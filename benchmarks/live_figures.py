"""Figures of the live side, and how they are shown."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Spread:
    """Of many times, in milliseconds: what most wait, what few wait, what one waited."""

    median: float
    p95: float
    max: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.1f} / {self.p95:.1f} / {self.max:.1f}"


def spread(times: Sequence[float]) -> Spread:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    return Spread(
        round(statistics.median(ordered), 2), round(p95, 2), round(ordered[-1], 2), len(ordered)
    )


@dataclass(frozen=True)
class Idle:
    """What sockets cost on which nothing is said.

    Attributes:
        address: Where they are connected: to conversations, or to /new.
        sockets: How many.
        opened_s: How long it took to open them all.
        open_cpu_ms: The server's processor time for opening one.
        kib_each: By how much the server's memory has grown for each.
        cpu_share: The part of a core that the server takes with all of them open.
        pause_ms: The longest time for which its garbage collector stopped it meanwhile.
    """

    address: str
    sockets: int
    opened_s: float
    open_cpu_ms: float
    kib_each: float
    cpu_share: float
    pause_ms: float


@dataclass(frozen=True)
class Chat:
    """What some of them wait for when they chat, and what it costs.

    Attributes:
        acknowledged: From sending a message until it is acknowledged.
        completed: Until its turn is over.
        pong: From a ping to its pong, on a socket that does nothing else: the waits of both
            sides' loops, with no statement in between.
        messages_per_s: Over all sockets.
        server_share: The part of a core that the server took.
        postgres_share: The same of Postgres.
        load_share: The same of the clients' process.
        others_share: The same of everything else on the machine: the less, the more this counts.
        pause_ms: The longest time for which the server's garbage collector stopped it.
    """

    acknowledged: Spread
    completed: Spread
    pong: Spread
    messages_per_s: float
    server_share: float
    postgres_share: float
    load_share: float
    others_share: float
    pause_ms: float


@dataclass(frozen=True)
class Delay:
    """How long tokens take from the model to their reader, on one way.

    Attributes:
        way: Straight from the model, or through the service.
        interval_s: How often at most the service tells of text; None where it is straight.
        first: The first token of each text.
        every: All tokens.
    """

    way: str
    interval_s: float | None
    first: Spread
    every: Spread


@dataclass(frozen=True)
class Readers:
    """Readers of one turn at once.

    Attributes:
        readers: How many.
        joined_ms: Until all of them had their first event.
        slowest: Delays of tokens to the reader that waited longest, by its 95th percentile.
        all: Delays to all of them.
        server_share: The part of a core that the server took, joining included.
        transactions: Of the database, for the whole turn and all its readers; None where they
            were not counted.
    """

    readers: int
    joined_ms: float
    slowest: Spread
    all: Spread
    server_share: float
    transactions: int | None


@dataclass(frozen=True)
class Found:
    """All of a run: each list has one entry a round, or a case."""

    idle: list[Idle]
    chat: list[Chat]
    delays: list[Delay]
    readers: list[Readers]
    chatting: int
    tokens_interval_ms: int


def report(found: Found) -> dict[str, Any]:
    """Everything that is measured, as JSON."""
    about = {"python": platform.python_version(), "cores": psutil.cpu_count()}
    return {**about, **asdict(found)}


def table(found: Found) -> str:
    lines = [
        f"Python {platform.python_version()}, {psutil.cpu_count()} cores."
        " Milliseconds are median / 95th percentile / most.",
        "",
        f"{'idle sockets':<28}{'KiB each':>10}{'open all, s':>13}"
        f"{'open one, ms cpu':>18}{'idle, % of a core':>19}{'collector, ms':>15}",
    ]
    for idle in found.idle:
        lines.append(
            f"{f'{idle.sockets} on {idle.address}':<28}{idle.kib_each:>10.1f}{idle.opened_s:>13.2f}"
            f"{idle.open_cpu_ms:>18.2f}{idle.cpu_share * 100:>19.1f}{idle.pause_ms:>15.1f}"
        )
    lines += [
        "",
        f"{f'{found.chatting} chat':<9}{'acknowledged':<22}{'turn completed':<24}{'pong':<20}"
        f"{'messages/s':>11}{'collector, ms':>15}"
        f"{'% of a core: server, postgres, clients, others':>50}",
    ]
    for number, chat in enumerate(found.chat, 1):
        used = (chat.server_share, chat.postgres_share, chat.load_share, chat.others_share)
        shares = ", ".join(f"{share * 100:.0f}" for share in used)
        lines.append(
            f"{f'round {number}':<9}{chat.acknowledged!s:<22}{chat.completed!s:<24}"
            f"{chat.pong!s:<20}{chat.messages_per_s:>11.1f}{chat.pause_ms:>15.1f}{shares:>50}"
        )
    lines += [
        "",
        f"{f'a token every {found.tokens_interval_ms} ms':<28}{'delay':<24}{'over straight':<18}"
        "first token",
    ]
    straight = found.delays[0].every
    for delay in found.delays:
        way = delay.way if delay.interval_s is None else f"{delay.way}, every {delay.interval_s} s"
        over = (
            f"{delay.every.median - straight.median:+.1f} / {delay.every.p95 - straight.p95:+.1f}"
        )
        lines.append(
            f"{way:<28}{delay.every!s:<24}"
            f"{'' if delay.interval_s is None else over:<18}{delay.first}"
        )
    lines += [
        "",
        f"{'readers of one turn':<21}{'slowest reader':<24}{'all':<24}{'joined, ms':>10}"
        f"{'server, % of a core':>21}{'transactions':>14}",
    ]
    for readers in found.readers:
        counted = "" if readers.transactions is None else str(readers.transactions)
        lines.append(
            f"{readers.readers:<21}{readers.slowest!s:<24}{readers.all!s:<24}"
            f"{readers.joined_ms:>10.0f}{readers.server_share * 100:>21.0f}{counted:>14}"
        )
    return "\n".join(lines)
