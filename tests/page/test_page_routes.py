"""What the page is served as: strictly, small, and from here alone."""

import gzip
import re
from pathlib import Path

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp

from taskchat.http.files import MEDIA_TYPES, ShippedFiles
from taskchat.page.routes import ASSETS, page_document, page_files
from taskchat.settings import Settings

OURS = [
    path
    for path in ASSETS.rglob("*")
    if path.suffix in MEDIA_TYPES and "vendor" not in path.relative_to(ASSETS).parts
]
SCRIPTS = [path for path in ASSETS.rglob("*") if path.suffix in {".js", ".mjs"}]


def files_of(document: str) -> list[str]:
    """The addresses that the document names."""
    return re.findall(r'(?:src|href)="([^"]+)"', document)


async def test_the_page_is_at_the_root_under_a_policy_that_lets_nothing_else_in(
    offline_app: RunningApp,
) -> None:
    answer = await offline_app.client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert policy.pop("trusted-types") == "lit-html dompurify"
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


async def test_a_client_that_takes_only_json_is_told_that_this_is_a_page(
    offline_app: RunningApp,
) -> None:
    answer = await offline_app.client.get("/", headers={"Accept": "application/json"})
    assert error_of(answer, 406)["error_code"] == "not_acceptable"


async def test_the_page_is_sent_once_and_its_files_are_kept_for_good(
    offline_app: RunningApp,
) -> None:
    client = offline_app.client
    document = await client.get("/")
    assert document.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": f'"another", W/{document.headers["etag"]}'}
    again = await client.get("/", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    for address in files_of(document.text):
        answer = await client.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in answer.headers["vary"].lower()


async def test_a_file_comes_plain_to_who_takes_no_gzip(offline_app: RunningApp) -> None:
    address = f"/page/{page_files().version}/main.js"
    plain = await offline_app.client.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (ASSETS / "main.js").read_bytes()
    head = await offline_app.client.head(address)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_page_of_another_release_gets_files_that_nobody_keeps(
    offline_app: RunningApp,
) -> None:
    answer = await offline_app.client.get("/page/0123456789abcdef/main.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_of_other_origins_do_not_hide_that_an_answer_may_be_packed(
    running_app: AppMaker,
) -> None:
    async with running_app(allowed_origins="https://app.example.org") as running:
        answer = await running.client.get("/")
        assert {part.strip() for part in answer.headers["vary"].split(",")} == {
            "Accept-Encoding",
            "Origin",
        }


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "index.html",
        "vendor/libraries.json",
        "vendor/marked/LICENSE",
        "..%2froutes.py",
        "%2e%2e/routes.py",
        "views/",
        "",
    ],
)
async def test_nothing_but_the_files_of_the_page_is_served(
    offline_app: RunningApp, name: str
) -> None:
    answer = await offline_app.client.get(f"/page/{page_files().version}/{name}")
    assert error_of(answer, 404)["error_code"] == "not_found"


async def test_the_page_can_be_switched_off(running_app: AppMaker) -> None:
    async with running_app(page=False) as running:
        for address in ("/", f"/page/{page_files().version}/main.js"):
            assert error_of(await running.client.get(address), 404)


async def test_the_page_is_no_part_of_the_contract(offline_app: RunningApp) -> None:
    paths = offline_app.app.openapi()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/page")]


def test_nothing_in_the_page_stands_inline_or_comes_from_elsewhere() -> None:
    document = (ASSETS / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]* src=)", document) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", document) == []
    assert all(address.startswith("/page/{{version}}/") for address in files_of(document))
    for path in OURS:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://[a-z0-9]", text), path.name
        assert not re.search(r"\b(localStorage|sessionStorage|indexedDB|document\.cookie)\b", text)
        # A template that sets the attribute would be refused by the policy.
        assert not re.search(r"\sstyle=", text), path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_module_imports_what_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r'(?:from|import)\s*"([^"\n]+)"', text):
        assert target.startswith("."), target
        assert (path.parent / target).is_file(), target


def test_every_file_is_used(project: Path) -> None:
    used = {ASSETS / "main.js"}
    waiting = set(used)
    while waiting:
        path = waiting.pop()
        found = re.findall(r'(?:from|import)\s*"([^"\n]+)"', path.read_text(encoding="utf-8"))
        new = {(path.parent / target).resolve() for target in found} - used
        used |= new
        waiting |= new
    assert set(SCRIPTS) == used


def test_a_packed_file_is_the_file() -> None:
    main = page_files().get("main.js")
    assert gzip.decompress(main.packed) == main.content


def test_another_content_has_another_address(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("{{version}} {{name}}", encoding="utf-8")
    (tmp_path / "main.js").write_text("1", encoding="utf-8")
    before = ShippedFiles(tmp_path)
    (tmp_path / "main.js").write_text("2", encoding="utf-8")
    after = ShippedFiles(tmp_path)
    assert before.version != after.version
    assert page_document(after, {"name": "one"}).content == f"{after.version} one".encode()


async def test_the_page_is_small(offline_app: RunningApp) -> None:
    document = await offline_app.client.get("/", headers={"Accept-Encoding": "gzip"})
    sizes = [int(document.headers["content-length"])]
    for address in set(files_of(document.text)):
        answer = await offline_app.client.get(address, headers={"Accept-Encoding": "gzip"})
        sizes.append(int(answer.headers["content-length"]))
    print(f"{len(sizes)} files, {sum(sizes):,} bytes packed")
    assert sum(sizes) < 100 * 1024


def test_who_signs_in_without_asking_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="TASKCHAT_PAGE_USER needs TASKCHAT_JWT_SECRET"):
        Settings(_env_file=None, page_user="demo")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_page_is_only_read(offline_app: RunningApp, method: str) -> None:
    answer: httpx.Response = await offline_app.client.request(method, "/")
    assert error_of(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
