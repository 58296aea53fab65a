"""Only the browser of whoever runs the service is signed in without being asked."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import JWT_SECRET, AppMaker, RunningApp
from tests.e2e.processes import ready, running, taskchat

from taskchat.page import visitors
from taskchat.page.visitors import is_own_browser, owner_of

OWN = {"host": "127.0.0.1:8000", "sec-fetch-site": "same-origin"}

OTHERS: dict[str, tuple[tuple[str, int] | None, dict[str, str]]] = {
    "another machine": (("192.0.2.7", 5000), OWN),
    "no address": (None, OWN),
    "a name that was made to point here": (
        ("127.0.0.1", 5000),
        OWN | {"host": "evil.example.org:8000"},
    ),
    "a name that looks like ours": (("127.0.0.1", 5000), OWN | {"host": "localhost.evil.org"}),
    "no name": (("127.0.0.1", 5000), OWN | {"host": ""}),
    "a page of another origin": (("127.0.0.1", 5000), OWN | {"sec-fetch-site": "cross-site"}),
    "a page of another port": (("127.0.0.1", 5000), OWN | {"sec-fetch-site": "same-site"}),
    "an address that was typed": (("127.0.0.1", 5000), OWN | {"sec-fetch-site": "none"}),
    "no browser": (("127.0.0.1", 5000), {"host": "127.0.0.1:8000"}),
    "a tunnel": (("127.0.0.1", 5000), OWN | {"x-forwarded-for": "192.0.2.7"}),
    "a proxy": (("127.0.0.1", 5000), OWN | {"forwarded": "for=192.0.2.7"}),
}


@pytest.fixture
def _nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not tell whose sockets are whose."""
    monkeypatch.setattr(visitors, "SOCKETS", {4: Path("/nonexistent"), 6: Path("/nonexistent")})


@pytest.mark.usefixtures("_nobody_knows")
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.0.0.1"])
def test_a_page_of_ours_in_a_browser_on_this_machine_is_signed_in(host: str) -> None:
    assert is_own_browser(("127.0.0.1", 5000), OWN | {"host": host})
    assert is_own_browser(("::1", 5000), OWN | {"host": host})


@pytest.mark.usefixtures("_nobody_knows")
@pytest.mark.parametrize("case", OTHERS)
def test_nobody_else_is(case: str) -> None:
    client, headers = OTHERS[case]
    assert not is_own_browser(client, headers)


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """The address of a socket of this user that is connected."""
    family, host = request.param
    with socket.socket(family) as server, socket.socket(family) as client:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        client.connect(server.getsockname())
        yield client.getsockname()[:2]


@pytest.mark.skipif(not visitors.SOCKETS[4].exists(), reason="only Linux tells whose sockets are")
def test_another_user_of_this_machine_is_not(
    connection: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_own_browser(connection, OWN)
    owner = owner_of(*connection)
    assert owner is not None
    monkeypatch.setattr("os.getuid", lambda: owner + 4711)
    assert is_own_browser(connection, OWN) is (owner == 0)


@pytest.mark.skipif(not visitors.SOCKETS[4].exists(), reason="only Linux tells whose sockets are")
def test_a_socket_that_is_not_there_is_nobodys() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    assert owner_of("127.0.0.1", port) == -1
    assert not is_own_browser(("127.0.0.1", port), OWN)


async def test_there_is_no_such_address_where_nobody_is_signed_in(offline_app: RunningApp) -> None:
    answer = await offline_app.client.post("/page/session", headers=OWN)
    assert answer.status_code in {404, 405}
    assert error_of(answer, answer.status_code)


async def test_who_is_refused_is_told_why(running_app: AppMaker) -> None:
    async with running_app(page_user="demo") as app:
        answer = await app.client.post("/page/session")
        assert error_of(answer, 403)["error_code"] == "forbidden"


def test_dev_signs_in_its_own_browser_and_says_where_the_page_is(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    arguments = ("dev", "--ephemeral", "--port", "0", "--ready-file", str(ready_file))
    with running(*arguments, cwd=tmp_path, env={"TASKCHAT_ALLOWED_ORIGINS": "*"}) as process:
        url = ready(ready_file, process)["url"]
        assert process.stdout is not None
        assert any(line == f"The chat page: {url}/\n" for line in process.stdout)
        refused = httpx.post(f"{url}/page/session", headers={"Sec-Fetch-Site": "cross-site"})
        assert error_of(refused, 403)
        begun = httpx.post(f"{url}/page/session", headers={"Sec-Fetch-Site": "same-origin"})
        session = begun.json()
        assert session["user_id"] == "demo"
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        assert httpx.get(f"{url}/api/demo/tasks", headers=headers).status_code == 200


def test_serve_signs_nobody_in_without_asking(tmp_path: Path, database_url: str) -> None:
    configured = {
        "DATABASE_URL": database_url,
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_PAGE_USER": "demo",
    }
    refused = taskchat("serve", "--port", "0", cwd=tmp_path, env=configured)
    assert refused.returncode != 0
    assert "unset TASKCHAT_PAGE_USER" in refused.stderr
