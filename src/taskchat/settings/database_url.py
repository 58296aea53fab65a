"""The address of the database. Each of its parameters is used, left out on purpose, or refused.

The pool, LISTEN and migrations share this one parser. What is refused is refused at start,
in one sentence that never shows the password.
"""

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from taskchat.settings.database_tls import Tls, tls_attempts
from taskchat.settings.libpq import EXAMPLE, flag, in_parts, number, one_of

PORT: Final = 5432

SOCKET_FOLDERS: Final = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108
"""Where a server on this machine listens, in the order in which it is looked for."""

CONNECT_TIMEOUT_S: Final = 5.0
"""A host that drops packets must not hold a request for TCP's two minutes."""

KEEPALIVE_IDLE_S: Final = 30
"""Silence after which the kernel probes the peer. The strictest firewalls forget a connection after
a minute or so; one that is probed is not idle."""

KEEPALIVE_INTERVAL_S: Final = 10
KEEPALIVE_COUNT: Final = 3
"""A peer that is gone is known within a minute."""

_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?"
    r"|(?P<bare_v6>[^\[\]]*:[^\[\]]*:[^\[\]]*)"
)
# Without brackets, as the value of host=, an IPv6 address can have no port.


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The kernel's keep-alive options of a connection.

    Attributes:
        idle_s: Silence after which the kernel probes the peer.
        interval_s: Time between probes.
        count: Unanswered probes after which the connection is lost.
        user_timeout_ms: The longest that sent data may stay unacknowledged; None leaves it to the
            system.
    """

    idle_s: int
    interval_s: int
    count: int
    user_timeout_ms: int | None


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where the database is, and how to connect to it.

    Attributes:
        hosts: Names or folders of sockets with their ports, in the order of the attempts.
        shuffled: Whether to use a different order each time.
        user: The login.
        password: Of the login; None if it comes from a password file, or if there is none.
        dbname: The database.
        tls: The attempts to make at each host.
        direct_tls: Whether TLS begins without asking first.
        pooled: Whether a transaction pooler is in front of the database.
        statement_cache: How many prepared statements are kept; None leaves it to the driver.
        connect_timeout_s: The time limit for each host.
        keep_alive: None if it is switched off.
        server_settings: Settings that the server is given at the start.
        options: Further options of the driver.
    """

    hosts: tuple[tuple[str, int], ...]
    shuffled: bool
    user: str
    password: str | None = field(repr=False)
    dbname: str
    tls: tuple[Tls, ...]
    direct_tls: bool
    pooled: bool
    statement_cache: int | None
    connect_timeout_s: float
    keep_alive: KeepAlive | None
    server_settings: Mapping[str, str]
    options: Mapping[str, str]


def parse_address(url: str) -> DatabaseAddress:
    """The meaning of a `DATABASE_URL`, in any of its spellings.

    Raises:
        ValueError: it can't be used; one sentence that names the parameter and shows no value.
    """
    with in_parts(url) as given:
        return _address(given)


def _address(given: Mapping[str, str]) -> DatabaseAddress:
    hosts = _hosts(given)
    user = given.get("user") or _login()
    over_tcp = any(not is_socket(host) for host, _ in hosts)
    return DatabaseAddress(
        hosts=hosts,
        shuffled=one_of(given, "load_balance_hosts", ("disable", "random")) == "random",
        user=user,
        password=given.get("password"),
        dbname=given.get("dbname") or user,
        tls=tls_attempts(given) if over_tcp else (None,),
        direct_tls=one_of(given, "sslnegotiation", ("postgres", "direct")) == "direct",
        pooled=_is_pooled(given, hosts),
        statement_cache=_statement_cache(given),
        connect_timeout_s=number(given, "connect_timeout") or CONNECT_TIMEOUT_S,
        keep_alive=_keep_alive(given),
        server_settings=_server_settings(given),
        options=_options(given, several="host" in given and len(hosts) > 1),
    )


def is_socket(host: str) -> bool:
    """Whether it is the folder of a Unix socket."""
    return host.startswith("/")


def _hosts(given: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    entries = [_host(entry) for entry in given.get("host", "").split(",")]
    if [name for name, _ in entries] == [""]:
        entries = [(name, entries[0][1]) for name in (*SOCKET_FOLDERS, "localhost")]
    if any(not name for name, _ in entries):
        raise ValueError("has an empty host between its commas")
    ports: list[str | None] = list(given["port"].split(",")) if "port" in given else [None]
    if len(ports) == 1:
        ports *= len(entries)
    if len(ports) != len(entries):
        raise ValueError("port must be one number, or one for each host")
    return tuple(
        (name, _port(own or port)) for (name, own), port in zip(entries, ports, strict=True)
    )


def _host(entry: str) -> tuple[str, str | None]:
    found = _HOST.fullmatch(entry)
    if found is None:
        raise ValueError("has a host in brackets that can't be read; write it as [::1]:5432")
    return unquote(found["v6"] or found["bare_v6"] or found["name"] or ""), found["port"]


def _port(text: str | None) -> int:
    if not text:
        return PORT
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError("the port must be a number from 1 to 65535")
    return int(text)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ValueError(f"names no user; write it as {EXAMPLE}") from None


def _is_pooled(given: Mapping[str, str], hosts: tuple[tuple[str, int], ...]) -> bool:
    """Whether it is a transaction pooler: by a parameter, or by the usual name of a hosted one."""
    return (
        flag(given, "pgbouncer", otherwise=False)
        or not flag(given, "prepared_statements", otherwise=True)
        or _statement_cache(given) == 0
        or any(
            label.rpartition("-")[2] == "pooler"
            for host, _ in hosts
            if not is_socket(host)
            for label in host.lower().split(".")
        )
    )


def _statement_cache(given: Mapping[str, str]) -> int | None:
    sizes = [
        number(given, name)
        for name in ("statement_cache_size", "prepared_statement_cache_size")
        if name in given
    ]
    return min(sizes) if sizes else None


def _keep_alive(given: Mapping[str, str]) -> KeepAlive | None:
    if not flag(given, "keepalives", otherwise=True):
        return None
    return KeepAlive(
        idle_s=number(given, "keepalives_idle") or KEEPALIVE_IDLE_S,
        interval_s=number(given, "keepalives_interval") or KEEPALIVE_INTERVAL_S,
        count=number(given, "keepalives_count") or KEEPALIVE_COUNT,
        user_timeout_ms=number(given, "tcp_user_timeout") or None,
    )


def _server_settings(given: Mapping[str, str]) -> dict[str, str]:
    name = given.get("application_name") or given.get("fallback_application_name")
    said = {"application_name": name, "options": given.get("options")}
    return {name: value for name, value in said.items() if value}


def _options(given: Mapping[str, str], *, several: bool) -> dict[str, str]:
    options = {name: given[name] for name in ("passfile", "krbsrvname", "gsslib") if name in given}
    if "passfile" in options and not os.access(options["passfile"], os.R_OK):
        raise ValueError("passfile names a file that can't be read here")
    one_of(given, "gsslib", ("gssapi", "sspi"))
    # Of several hosts the one that takes writes is meant: all that is done here ends in one.
    wanted = one_of(given, "target_session_attrs", ("any", "read-write", "primary"))
    options["target_session_attrs"] = wanted or ("read-write" if several else "any")
    return options
