"""Each parameter of a database address is used, left out on purpose, or refused in a sentence."""

import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from taskchat.settings import Settings
from taskchat.settings.database_url import DatabaseAddress, parse_address
from taskchat.settings.libpq import IGNORED, ONLY, USED

Check = Callable[[DatabaseAddress], bool]


@pytest.fixture(autouse=True)
def _no_variables_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")


def tls_of(address: DatabaseAddress) -> list[tuple[ssl.VerifyMode, bool] | None]:
    return [None if tls is None else (tls.verify_mode, tls.check_hostname) for tls in address.tls]


UNVERIFIED, VERIFIED = (ssl.CERT_NONE, False), (ssl.CERT_REQUIRED, True)

USES: dict[str, tuple[str, Check]] = {
    "application_name": ("x%20y", lambda it: it.server_settings == {"application_name": "x y"}),
    "connect_timeout": ("10", lambda it: it.connect_timeout_s == 10),
    "database": ("other", lambda it: it.dbname == "other"),
    "dbname": ("other", lambda it: it.dbname == "other"),
    "fallback_application_name": (
        "x",
        lambda it: it.server_settings == {"application_name": "x"},
    ),
    "gsslib": ("gssapi", lambda it: it.options.get("gsslib") == "gssapi"),
    "host": ("other", lambda it: it.hosts == (("other", 5432),)),
    "hostaddr": ("::1", lambda it: it.hosts == (("::1", 5432),)),
    "keepalives": ("0", lambda it: it.keep_alive is None),
    "keepalives_count": ("7", lambda it: it.keep_alive is not None and it.keep_alive.count == 7),
    "keepalives_idle": ("7", lambda it: it.keep_alive is not None and it.keep_alive.idle_s == 7),
    "keepalives_interval": (
        "7",
        lambda it: it.keep_alive is not None and it.keep_alive.interval_s == 7,
    ),
    "krbsrvname": ("x", lambda it: it.options.get("krbsrvname") == "x"),
    "load_balance_hosts": ("random", lambda it: it.shuffled),
    "options": (
        "endpoint%3Dep-cool-sun",
        lambda it: it.server_settings == {"options": "endpoint=ep-cool-sun"},
    ),
    "passfile": ("/dev/null", lambda it: it.options.get("passfile") == "/dev/null"),
    "password": ("p%2F", lambda it: it.password == "p/"),
    "pgbouncer": ("true", lambda it: it.pooled),
    "port": ("5433", lambda it: {port for _, port in it.hosts} == {5433}),
    "prepared_statement_cache_size": ("7", lambda it: it.statement_cache == 7),
    "prepared_statements": ("false", lambda it: it.pooled),
    "requiressl": ("1", lambda it: tls_of(it) == [UNVERIFIED]),
    "ssl": ("true", lambda it: tls_of(it) == [UNVERIFIED]),
    "ssl_max_protocol_version": (
        "TLSv1.2",
        lambda it: it.tls[0] is not None and it.tls[0].maximum_version.name == "TLSv1_2",
    ),
    "ssl_min_protocol_version": (
        "TLSv1.3",
        lambda it: it.tls[0] is not None and it.tls[0].minimum_version.name == "TLSv1_3",
    ),
    "sslaccept": ("strict", lambda it: tls_of(it) == [VERIFIED]),
    "sslmode": ("verify-full", lambda it: tls_of(it) == [VERIFIED]),
    "sslnegotiation": ("direct", lambda it: it.direct_tls),
    "sslrootcert": ("system", lambda it: tls_of(it) == [VERIFIED]),
    "statement_cache_size": ("0", lambda it: it.pooled),
    "target_session_attrs": (
        "primary",
        lambda it: it.options["target_session_attrs"] == "primary",
    ),
    "tcp_user_timeout": (
        "9000",
        lambda it: it.keep_alive is not None and it.keep_alive.user_timeout_ms == 9000,
    ),
    "user": ("me@server", lambda it: it.user == "me@server"),
}
"""A value of each parameter, and what comes of it at postgresql:///d."""

FILES = ("sslcert", "sslcrl", "sslcrldir", "sslkey", "sslpassword", "service", "servicefile")
"""Parameters whose tests need files."""


@pytest.mark.parametrize("name", USES)
def test_a_parameter_that_is_used_does_what_it_says(name: str) -> None:
    value, holds = USES[name]
    host = "" if name in ("host", "hostaddr") else "h"
    assert holds(parse_address(f"postgresql://{host}/d?{name}={value}"))
    assert not holds(parse_address("postgresql://h/d"))


def test_every_parameter_has_a_test_of_its_use() -> None:
    assert sorted([*USES, *FILES]) == list(USED)
    assert not set(USED) & set(IGNORED)


def test_a_service_of_a_service_file_says_what_the_address_does_not(tmp_path: Path) -> None:
    file = tmp_path / "services"
    file.write_text("[mine]\nhost=there\nport=5433\ndbname=other\nuser=ann\npassword=p%40\n")
    told = parse_address(f"postgresql:///?service=mine&servicefile={file}&user=bob")
    assert told.hosts == (("there", 5433),)
    assert (told.dbname, told.user, told.password) == ("other", "bob", "p%40")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        *((name, False) for name in ("passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert")),
        *((name, True) for name in ("sslcert", "sslcrl", "sslrootcert")),
    ],
)
def test_a_file_that_is_of_no_use_is_refused_by_its_parameter(
    tmp_path: Path, name: str, there: bool
) -> None:
    file = tmp_path / "file"
    if there:
        file.write_text("no certificate")
    with pytest.raises(ValueError, match=name):
        parse_address(f"postgresql://h/d?sslmode=verify-full&{name}={file}")


@pytest.mark.parametrize("name", IGNORED)
def test_a_parameter_that_is_left_out_changes_nothing(name: str) -> None:
    told = parse_address(f"postgresql://u@h/d?{name}=require")
    plain = parse_address("postgresql://u@h/d")
    assert (told.hosts, told.pooled, told.options) == (plain.hosts, plain.pooled, plain.options)
    assert told.server_settings == plain.server_settings


@pytest.mark.parametrize("name", ONLY)
def test_a_parameter_that_asks_for_what_can_not_be_is_refused(name: str) -> None:
    for value in ONLY[name]:
        parse_address(f"postgresql://h/d?{name}={value}")
    with pytest.raises(ValueError, match=name):
        parse_address(f"postgresql://h/d?{name}=require")


@pytest.mark.parametrize(
    ("address", "hosts", "dbname"),
    [
        ("postgres://u:p@h/d", [("h", 5432)], "d"),
        ("postgresql+asyncpg://u@/d?host=/tmp", [("/tmp", 5432)], "d"),
        ("postgresql://u@%2Fvar%2Frun%2Fpg:5433/d", [("/var/run/pg", 5433)], "d"),
        ("postgresql://u@[::1]:5433/d", [("::1", 5433)], "d"),
        ("postgresql://u@h1:1,[::2]:2,h3/d", [("h1", 1), ("::2", 2), ("h3", 5432)], "d"),
        ("postgresql://u@h1,h2/d?port=1,2", [("h1", 1), ("h2", 2)], "d"),
        ("postgresql:///d?user=u&host=h1:1&host=h2:2", [("h1", 1), ("h2", 2)], "d"),
        ("postgresql://u@h", [("h", 5432)], "u"),
        (" postgresql://u@h/d%C3%A9\n", [("h", 5432)], "dé"),
    ],
)
def test_an_address_is_taken_in_any_of_its_spellings(
    address: str, hosts: list[tuple[str, int]], dbname: str
) -> None:
    told = parse_address(address)
    assert list(told.hosts) == hosts
    assert (told.user, told.dbname) == ("u", dbname)


def test_without_a_host_it_is_looked_for_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("localhost", 5432) in parse_address("postgresql:///d").hosts
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGPORT", "5433")
    assert parse_address("postgresql:///d").hosts == (("elsewhere", 5433),)
    assert parse_address("postgresql://h:1/d").hosts == (("h", 1),)


@pytest.mark.parametrize("password", ["p@ss", "p#s", "p?s", "p%zz", "a:b", "p+s", "pé", "[p]"])
def test_a_password_may_hold_what_can_not_be_misread(password: str) -> None:
    told = parse_address(f"postgresql://u:{password}@h/d?user=u")
    assert (told.password, told.hosts) == (password, (("h", 5432),))


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_a_home_that_may_not_be_looked_into_is_an_empty_one(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service's user has it, who was started with the HOME of root."""
    folder = tmp_path / ".postgresql"
    folder.mkdir()
    for name in ("root.crt", "root.crl", "postgresql.crt", "postgresql.key"):
        (folder / name).write_text("not to be read")
    folder.chmod(0)
    monkeypatch.setenv("HOME", str(tmp_path))
    as_root = os.geteuid() == 0
    if as_root:
        os.setresuid(65534, 65534, 0)
    try:
        told = parse_address(f"postgresql://u@h/d?sslmode={mode}")
    finally:
        if as_root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o700)
    assert tls_of(told)[0] == UNVERIFIED


def test_of_several_hosts_the_one_that_takes_writes_is_meant() -> None:
    assert parse_address("postgresql://h/d").options["target_session_attrs"] == "any"
    assert parse_address("postgresql://h,i/d").options["target_session_attrs"] == "read-write"
    told = parse_address("postgresql://h,i/d?target_session_attrs=any")
    assert told.options["target_session_attrs"] == "any"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@ep-cool-sun-123-pooler.eu-central-1.aws.neon.tech/d?sslmode=require"
        "&channel_binding=require",
        "postgresql://postgres.abc:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
        "?pgbouncer=true&connection_limit=1",
    ],
)
def test_the_name_of_a_hosted_pooler_says_that_it_is_one(address: str) -> None:
    assert parse_address(address).pooled
    assert parse_address(address.partition("?")[0]).pooled
    assert not parse_address(address.replace("pooler", "db").partition("?")[0]).pooled


REFUSED = {
    "postgresql://u:hunter2@h:abc/d": "port",
    "postgresql://u:hunter2@h:99999/d": "port",
    "postgresql://u:hunter2@h,,i/d": "empty host",
    "postgresql://u:hunter2@h,i/d?port=1,2,3": "port",
    "postgresql://u:hunter2@[::1/d": "brackets",
    "postgresql://u:hunter2@h/d?hostaddr=1.2.3.4": "hostaddr",
    "postgresql://u:hunter2@h/d?connect_timeout=soon": "connect_timeout",
    "postgresql://u:hunter2@h/d?pgbouncer=maybe": "pgbouncer",
    "postgresql://u:hunter2@h/d?sslmode=strict": "sslmode",
    "postgresql://u:hunter2@h/d?ssl_min_protocol_version=SSLv3": "ssl_min_protocol_version",
    "postgresql://u:hunter2@h/d?target_session_attrs=standby": "target_session_attrs",
    "postgresql://u:hunter2@h/d?service=gone": "service",
    "postgresql://u:hunter2@h/d?search_path=x": "search_path",
    "postgresql://u:hunter2@h/d?require_auth=scram-sha-256": "require_auth",
    "postgresql://u:hun/ter2@h/d": "%2F",
    "postgresql://u:1/hunter2?hunter2=x@h/d": "%2F",
    "postgresql://u:hunter2@h/d%00": "NUL",
    "jdbc:postgresql://h/d?password=hunter2": "postgresql://",
    "mysql://u:hunter2@h/d": "postgresql://",
    "host=h dbname=d password=hunter2": "postgresql://",
    "'postgresql://u:hunter2@h/d'": "postgresql://",
}


@pytest.mark.parametrize("address", REFUSED)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "TASKCHAT_DATABASE_DIRECT_URL"])
def test_what_can_not_be_used_is_refused_at_start_without_the_password(
    address: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None)
    [problem] = refused.value.errors()
    assert REFUSED[address] in problem["msg"]
    assert "hunter2" not in str(refused.value)
    assert "hun" not in problem["msg"]


def test_the_tables_of_the_docs_hold_every_parameter(project: Path) -> None:
    page = (project / "docs/operations.md").read_text(encoding="utf-8")
    section = page.split("## Database addresses\n")[1].split("\n## ")[0]
    used, left_out = section.split("Left out on purpose")
    named = re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", used, re.MULTILINE)))
    assert sorted(named) == sorted([*USED, *ONLY])
    for name, values in ONLY.items():
        [row] = re.findall(rf"^\| `{name}` \| (.*?) \|", used, re.MULTILINE)
        assert set(re.findall(r"`([^`]+)`", row)) >= values, name
    rows = re.findall(r"^\| `([a-z_]+)` \| (.*?) \|$", left_out, re.MULTILINE)
    assert dict(rows) == IGNORED
