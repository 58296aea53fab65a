"""libpq's parameters, from the address of a database and from the environment.

Parameters of Prisma, SQLAlchemy and other drivers are translated into libpq's, if they ask for
something.
"""

import configparser
import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from taskchat.settings.database_tls import home_file

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
"""Parameters that are taken only with these values, which ask for what is done anyway; the
exception is `sslcertmode`, which is used."""

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
"""libpq's environment variables, for what an address leaves open."""

_SCHEME: Final = re.compile(r"postgres(ql)?(\+[a-z0-9_]+)?://")

_ADDRESS: Final = re.compile(
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^/]*?))?@)?"
    r"(?P<hosts>[^@/?]*)"
    r"(?:/(?P<dbname>[^?]*))?"
    r"(?:\?(?P<query>.*))?"
)
# The password extends to an @ that a host can follow: people forget to encode theirs.

_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


@contextlib.contextmanager
def in_parts(url: str) -> Iterator[dict[str, str]]:
    """The parameters of an address, in any of its spellings, for a block that reads them.

    Raises:
        ValueError: it can't be used, as here or in the block was found out; one sentence that names
            the parameter and shows no value.
    """
    found = _SCHEME.match(url.strip())
    if found is None:
        raise ValueError(f"must begin with postgresql://, as {EXAMPLE}")
    rest = url.strip()[found.end() :]
    try:
        yield _environment() | _parameters(rest)
    except ValueError:
        if rest.count("@") > 1 or "@" in rest.partition("/")[2]:
            # What looks like a parameter may be half a password, which must not be shown.
            raise ValueError(
                "can't be read; in user and password, / must be written as %2F, ? as %3F, @ as "
                "%40 and % as %25"
            ) from None
        raise


def _parameters(rest: str) -> dict[str, str]:
    """What follows the scheme, as libpq's parameters; its query wins over its other parts."""
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
    """The same parameters, with those of other drivers in libpq's terms."""
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
    mode = given.get("ssl", "require" if flag(given, "requiressl", otherwise=False) else "")
    if mode.lower() in _TRUE | _FALSE:
        mode = "require" if mode.lower() in _TRUE else "disable"
    if mode:
        given.setdefault("sslmode", mode)
    if (
        one_of(given, "sslaccept", ("accept_invalid_certs", "strict")) == "strict"
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


def one_of(given: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    """One of these values, or None; raises ValueError for another."""
    value = given.get(name)
    if value is not None and value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(allowed)} here")
    return value


def flag(given: Mapping[str, str], name: str, *, otherwise: bool) -> bool:
    """Whether a parameter is true, in any of its spellings; raises ValueError for another."""
    value = given.get(name)
    if value is None:
        return otherwise
    if value.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{name} must be true or false")
    return value.lower() in _TRUE


def number(given: Mapping[str, str], name: str) -> int:
    """A whole number; 0, which stands for the default, if it is not given."""
    value = given.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise ValueError(f"{name} must be a whole number")
    return int(value)
