"""The address of the database. Each of its parameters is used, left out on purpose, or refused.

One reading of it for the pool, for LISTEN and for migrations. What is refused is refused at start,
in one sentence that never shows the password.
"""

import configparser
import getpass
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from taskchat.settings.database_tls import Tls, home_file, tls_attempts

PORT: Final = 5432

SOCKET_FOLDERS: Final = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108
"""Where a server on this machine listens, in the order in which it is looked for."""

CONNECT_TIMEOUT_S: Final = 5.0
"""A host that drops packets must not hold a request for TCP's two minutes."""

KEEPALIVE_IDLE_S: Final = 30
"""Silence after which the kernel asks whether the peer is there. The strictest firewalls forget a
connection after a minute or so; one that is asked about is not idle."""

KEEPALIVE_INTERVAL_S: Final = 10
KEEPALIVE_COUNT: Final = 3
"""A peer that is gone is known within a minute."""

EXAMPLE: Final = "postgresql://user:password@host/name"

IGNORED: Final = {
    "channel_binding": "the driver has none; `sslmode=verify-full` proves whom it talks to",
    "connection_limit": "`TASKCHAT_DB_POOL_SIZE` says it",
    "pool_timeout": "`TASKCHAT_POOL_TIMEOUT_S` says it",
    "socket_timeout": "`TASKCHAT_STATEMENT_TIMEOUT_S` says it",
    "sslcompression": "nobody compresses TLS any more",
    "supa": "a mark of Supabase's for its own statistics",
    "uselibpqcompat": "asks another driver for what is done here anyway",
    "workaround": "a mark of Supabase's for another driver",
}
"""Parameters that are left out on purpose, whatever their value, and why."""

ONLY: Final[Mapping[str, frozenset[str]]] = {
    "client_encoding": frozenset({"auto", "utf8", "utf-8", "unicode"}),
    "gssdelegation": frozenset({"0"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "replication": frozenset({"false", "off", "no", "0"}),
    "schema": frozenset({"public"}),
    "sslcertmode": frozenset({"allow", "disable"}),
    "sslsni": frozenset({"1"}),
}
"""Parameters that are taken with these values alone: those that ask for what is done anyway, but
for `sslcertmode`, which is used."""

USED: Final = (
    "application_name",
    "connect_timeout",
    "database",
    "dbname",
    "fallback_application_name",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "pgbouncer",
    "port",
    "prepared_statement_cache_size",
    "prepared_statements",
    "requiressl",
    "service",
    "servicefile",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslaccept",
    "sslcert",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "statement_cache_size",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
)
"""Parameters that are used: libpq's, and from Prisma's, SQLAlchemy's and other drivers' addresses
those that ask for something."""

_ENVIRONMENT: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
"""libpq's variables for what an address leaves open."""

_SCHEME: Final = re.compile(r"postgres(ql)?(\+[a-z0-9_]+)?://")

_ADDRESS: Final = re.compile(
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^/]*?))?@)?"
    r"(?P<hosts>[^@/?]*)"
    r"(?:/(?P<dbname>[^?]*))?"
    r"(?:\?(?P<query>.*))?"
)
# The password goes on up to an @ behind which a host can stand: people forget to encode theirs.

_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[^:]*))?"
    r"|(?P<bare_v6>[^\[\]]*:[^\[\]]*:[^\[\]]*)"
)
# Without brackets, as the value of host=, an IPv6 address can have no port.


_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What the kernel is told of a connection.

    Attributes:
        idle_s: Silence after which it asks.
        interval_s: Between questions.
        count: Questions without an answer that mean the end.
        user_timeout_ms: The longest that what was sent may stay unconfirmed; None leaves it to the
            system.
    """

    idle_s: int
    interval_s: int
    count: int
    user_timeout_ms: int | None


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where the database is, and how it is to be connected to.

    Attributes:
        hosts: Names or folders of sockets with their ports, in the order of the attempts.
        shuffled: Whether that order is another one each time.
        user: The login.
        password: Of the login; None where a password file, or nothing, says it.
        dbname: The database.
        tls: The attempts for each host.
        direct_tls: Whether TLS begins without asking first.
        pooled: Whether a transaction pooler stands before the database.
        statement_cache: How many prepared statements are kept; None leaves it to the driver.
        connect_timeout_s: For one host.
        keep_alive: None where it is switched off.
        server_settings: What the server is told at the beginning.
        options: What the driver is told besides.
    """

    hosts: tuple[tuple[str, int], ...]
    shuffled: bool
    user: str
    password: str | None
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
    found = _SCHEME.match(url.strip())
    if found is None:
        raise ValueError(f"must begin with postgresql://, as {EXAMPLE}")
    rest = url.strip()[found.end() :]
    try:
        return _address(_environment() | _parameters(rest))
    except ValueError:
        if rest.count("@") > 1 or "@" in rest.partition("/")[2]:
            # What looks like a parameter may be half a password, and no name to be shown.
            raise ValueError(
                "can't be read; in user and password, / must be written as %2F, ? as %3F, @ as "
                "%40 and % as %25"
            ) from None
        raise


def _parameters(rest: str) -> dict[str, str]:
    """What stands behind the scheme, as libpq's parameters; its query wins over its parts."""
    found = _ADDRESS.fullmatch(rest)
    if found is None:
        raise ValueError(f"can't be read; write it as {EXAMPLE}")
    given = {
        name: unquote(text) for name in ("user", "password", "dbname") if (text := found[name])
    }
    if found["hosts"]:
        given["host"] = found["hosts"]
    hosts = []
    for part in filter(None, (found["query"] or "").split("&")):
        name, _, value = part.partition("=")
        name, value = unquote(name), unquote(value)
        if name == "host":
            hosts.append(value)
        elif value:
            given[name] = value
        _check_known(name, value)
    if hosts:
        given["host"] = ",".join(hosts)
    return _in_one_spelling(given)


def _in_one_spelling(given: dict[str, str]) -> dict[str, str]:
    """The same with what other drivers say in words of their own in those of libpq."""
    if any("\0" in value for value in given.values()):
        raise ValueError("holds a NUL, which no server takes")
    if "service" in given:
        given = _service(given) | given
    if "host" in given and "hostaddr" in given:
        raise ValueError("hostaddr can't be used beside a host; leave one of the two out")
    if "hostaddr" in given:
        given["host"] = given["hostaddr"]
    if "database" in given:
        given["dbname"] = given["database"]
    mode = given.get("ssl", "require" if _flag(given, "requiressl", otherwise=False) else "")
    if mode.lower() in _TRUE | _FALSE:
        mode = "require" if mode.lower() in _TRUE else "disable"
    if mode:
        given.setdefault("sslmode", mode)
    if (
        _one_of(given, "sslaccept", ("accept_invalid_certs", "strict")) == "strict"
        and given.get("sslmode") != "disable"
    ):
        given["sslmode"] = "verify-full"
    return given


def _check_known(name: str, value: str) -> None:
    if name in ONLY:
        if value and value.lower() not in ONLY[name]:
            allowed = " or ".join(sorted(ONLY[name]))
            raise ValueError(f"{name} can only be {allowed} here; leave it out")
    elif name not in USED and name not in IGNORED:
        shown = name if re.fullmatch(r"\w{1,40}", name) else "a parameter of its query"
        raise ValueError(
            f"{shown} is not a parameter that is known here; leave it out "
            "(docs/operations.md lists them)"
        )


def _environment() -> dict[str, str]:
    given = {
        name: value for name, variable in _ENVIRONMENT.items() if (value := os.getenv(variable))
    }
    return _service(given) | given if "service" in given else given


def _service(given: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a section of libpq's service file."""
    path = given.get("servicefile") or os.getenv("PGSERVICEFILE") or home_file(".pg_service.conf")
    sections = configparser.ConfigParser(interpolation=None)
    try:
        read = sections.read(path) if path else []
    except configparser.Error:
        read = []
    if not read or given["service"] not in sections:
        raise ValueError("service names no section of a service file that can be read here")
    found = dict(sections[given["service"]])
    for name, value in found.items():
        _check_known(name, value)
    return found


def _address(given: Mapping[str, str]) -> DatabaseAddress:
    hosts = _hosts(given)
    user = given.get("user") or _login()
    over_tcp = any(not is_socket(host) for host, _ in hosts)
    return DatabaseAddress(
        hosts=hosts,
        shuffled=_one_of(given, "load_balance_hosts", ("disable", "random")) == "random",
        user=user,
        password=given.get("password"),
        dbname=given.get("dbname") or user,
        tls=tls_attempts(given) if over_tcp else (None,),
        direct_tls=_one_of(given, "sslnegotiation", ("postgres", "direct")) == "direct",
        pooled=_is_pooled(given, hosts),
        statement_cache=_statement_cache(given),
        connect_timeout_s=_number(given, "connect_timeout") or CONNECT_TIMEOUT_S,
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
    """Whether it is a transaction pooler: said so, or by the name that hosted ones give theirs."""
    return (
        _flag(given, "pgbouncer", otherwise=False)
        or not _flag(given, "prepared_statements", otherwise=True)
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
        _number(given, name)
        for name in ("statement_cache_size", "prepared_statement_cache_size")
        if name in given
    ]
    return min(sizes) if sizes else None


def _keep_alive(given: Mapping[str, str]) -> KeepAlive | None:
    if not _flag(given, "keepalives", otherwise=True):
        return None
    return KeepAlive(
        idle_s=_number(given, "keepalives_idle") or KEEPALIVE_IDLE_S,
        interval_s=_number(given, "keepalives_interval") or KEEPALIVE_INTERVAL_S,
        count=_number(given, "keepalives_count") or KEEPALIVE_COUNT,
        user_timeout_ms=_number(given, "tcp_user_timeout") or None,
    )


def _server_settings(given: Mapping[str, str]) -> dict[str, str]:
    name = given.get("application_name") or given.get("fallback_application_name")
    said = {"application_name": name, "options": given.get("options")}
    return {name: value for name, value in said.items() if value}


def _options(given: Mapping[str, str], *, several: bool) -> dict[str, str]:
    options = {name: given[name] for name in ("passfile", "krbsrvname", "gsslib") if name in given}
    if "passfile" in options and not os.access(options["passfile"], os.R_OK):
        raise ValueError("passfile names a file that can't be read here")
    _one_of(given, "gsslib", ("gssapi", "sspi"))
    # Of several hosts the one that takes writes is meant: all that is done here ends in one.
    wanted = _one_of(given, "target_session_attrs", ("any", "read-write", "primary"))
    options["target_session_attrs"] = wanted or ("read-write" if several else "any")
    return options


def _one_of(given: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    value = given.get(name)
    if value is not None and value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(allowed)} here")
    return value


def _flag(given: Mapping[str, str], name: str, *, otherwise: bool) -> bool:
    value = given.get(name)
    if value is None:
        return otherwise
    if value.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{name} must be true or false")
    return value.lower() in _TRUE


def _number(given: Mapping[str, str], name: str) -> int:
    """A whole number; 0 where it is not given, which stands for the default."""
    value = given.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise ValueError(f"{name} must be a whole number")
    return int(value)
