"""What the OpenAPI document says is so."""

from pathlib import Path

from tests.conftest import AppMaker
from tests.fuzz.contract import schemathesis
from tests.live.served import served


async def test_what_the_document_gives_as_examples_is_answered_as_it_says(
    running_app: AppMaker, tmp_path: Path
) -> None:
    async with running_app() as running, served(running) as url:
        tried = await schemathesis(url, tmp_path, "--phases", "examples", "--seed", "1")
    assert tried.code == 0, tried.said
    assert tried.answers["2xx"] > 30
    assert tried.answers["4xx"] > 30
