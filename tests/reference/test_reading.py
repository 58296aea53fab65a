"""What is there to read: `/docs`, its files, `/llms.txt`, the pages of the documentation."""

import gzip
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp

from taskchat.http.files import ShippedFile
from taskchat.reference import pages

PATHS = ["/docs", "/docs/api.md", "/llms.txt", "/llms-full.txt", "/openapi.json"]


def files_of(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="(docs/files/[^"]+)"', page)


@pytest.mark.parametrize("path", PATHS)
async def test_it_is_there_without_a_token(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_none_of_it_is_there_if_it_is_switched_off(running_app: AppMaker) -> None:
    async with running_app(api_docs=False) as running:
        for path in [*PATHS, "/docs/files/x/docs.js"]:
            refused = error_of(await running.client.get(path), 404)
            # What is not there is not named either.
            assert "openapi" not in refused["error"], path
        assert (await running.client.get("/livez")).status_code == 200


async def test_an_address_that_is_not_there_says_where_to_look(client: httpx.AsyncClient) -> None:
    refused = error_of(await client.get("/doc"), 404)
    assert "/openapi.json" in refused["error"]


async def test_the_page_loads_only_files_of_this_service(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    named = files_of(page.text)
    assert len(named) == 4
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', page.text)
    for name in named:
        answer = await client.get(f"/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


async def test_a_file_comes_packed_to_those_who_take_that(client: httpx.AsyncClient) -> None:
    [name] = [name for name in files_of((await client.get("/docs")).text) if "bundle" in name]
    plain = await client.get(f"/{name}", headers={"Accept-Encoding": "identity"})
    packed = await client.get(f"/{name}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert packed.content == plain.content
    assert "Accept-Encoding" in packed.headers["vary"]


async def test_a_file_of_another_release_is_served_and_not_kept(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/files/0123456789abcdef/docs.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["LICENSE", "../routes.py", "..%2froutes.py", "", "swagger-ui", "docs.js/"]
)
async def test_nothing_else_is_served_as_a_file(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/files/x/{name}")).status_code == 404


@pytest.mark.parametrize("name", ["none.md", "README.md", "decisions", "..%2fREADME.md", "api"])
async def test_nothing_else_is_served_as_a_page(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_a_page_is_served_as_it_is_written(client: httpx.AsyncClient, project: Path) -> None:
    for page in {*(project / "docs").glob("*.md")} - {project / "docs" / pages.INDEX}:
        answer = await client.get(f"/docs/{page.name}")
        assert answer.text == page.read_text(encoding="utf-8")
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"


async def test_llms_txt_has_its_form_and_its_links_lead_somewhere(
    client: httpx.AsyncClient,
) -> None:
    text = (await client.get("/llms.txt")).text
    heading, summary, *rest = text.split("\n\n")
    assert heading == "# taskchat"
    assert summary.startswith("> ")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections == ["Docs", "Routes", "Optional"]
    links = re.findall(r"^- \[[^\]]+\]\((/[^)]+)\)", text, re.MULTILINE)
    assert len(links) == len(pages.pages()) + 3
    for link in links:
        assert (await client.get(link)).status_code == 200, link
    assert rest


async def test_llms_txt_has_every_route_of_the_contract(offline_app: RunningApp) -> None:
    text = (await offline_app.client.get("/llms.txt")).text
    told = re.findall(r"^- `([A-Z]+ /\S*)`: .+$", text, re.MULTILINE)
    assert told == [
        f"{method.upper()} {path}"
        for path, methods in offline_app.app.openapi()["paths"].items()
        for method in methods
    ]


async def test_registering_is_told_of_only_where_it_is_possible(running_app: AppMaker) -> None:
    async with running_app(accounts=False) as running:
        assert "/api/auth/register" not in (await running.client.get("/llms.txt")).text
    async with running_app(accounts=True) as running:
        assert "Or register" in (await running.client.get("/llms.txt")).text


async def test_the_full_text_has_the_pages_for_builders_whole(client: httpx.AsyncClient) -> None:
    text = (await client.get("/llms-full.txt")).text
    for page in pages.pages():
        assert (page.text.strip() in text) == page.is_for_builders, page.name


def test_the_index_tells_which_pages_are_for_builders() -> None:
    builders = [page.name for page in pages.pages() if page.is_for_builders]
    assert builders[0] == "quickstart.md"
    assert "architecture.md" not in builders
    assert all(page.title and page.holds for page in pages.pages())


def test_vendored_files_are_those_that_were_published(project: Path) -> None:
    folder = project / "src/taskchat/reference/assets/swagger-ui"
    told = dict(
        re.findall(
            r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$",
            (folder / "ORIGIN.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    kept = {path.name for path in folder.iterdir()} - {"ORIGIN.md"}
    assert set(told) == kept
    for name, digest in told.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_a_file_is_packed_alike_every_time() -> None:
    one, other = (ShippedFile(b"the same", "text/css") for _ in range(2))
    assert one.packed == other.packed
    assert gzip.decompress(one.packed) == b"the same"
