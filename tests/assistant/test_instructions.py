"""contracts/agent-config.yaml is the configuration, and a mistake in it stops the service."""

from pathlib import Path

import pytest
from tests.conftest import AppMaker

from taskchat.assistant.circumstances import Circumstances
from taskchat.assistant.instructions import AgentConfigError, load_agent_config
from taskchat.assistant.prompt import PromptFacts, build_prompt
from taskchat.moments import utc_now
from taskchat.resources import resource_path
from taskchat.settings import Settings


def given(tmp_path: Path, **replaced: str) -> Settings:
    text = resource_path("contracts/agent-config.yaml").read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return Settings(_env_file=None, agent_config_path=str(path))


def test_the_shipped_file_is_read() -> None:
    config = load_agent_config(Settings(_env_file=None))
    prompt = build_prompt(config, PromptFacts(Circumstances(), open_tasks=3))
    assert f"Today is {utc_now().date().isoformat()} (UTC)." in prompt
    assert "They have 3 open tasks" in prompt


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("name: taskchat", "nom: taskchat", "name"),
        ("tokens_max: 8000", "tokens_max: many", "history.tokens_max"),
        ("{today}", "{yesterday}", "instructions"),
        ("temperature: null", "warmth: 3", "model.settings"),
        ("temperature: null", "timeout: 3", "model.settings"),
        ("allowed: [add_task,", "allowed: [drop_tables,", "no tool drop_tables"),
        ("name: taskchat", "name: [", "can't be read"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(AgentConfigError, match=named.replace(".", r"\.")):
        load_agent_config(given(tmp_path, **{old: new}))


async def test_only_allowed_tools_are_offered(running_app: AppMaker, tmp_path: Path) -> None:
    from tests.factories import Person, says, scripted

    settings = given(
        tmp_path,
        **{"[add_task, list_tasks, complete_task, delete_task, update_task]": "[list_tasks]"},
    )
    model, chain = scripted(says("Hello."))
    async with running_app(chain=chain, agent_config_path=settings.agent_config_path) as running:
        await Person().say(running.client, "hello")
    assert [tool.name for tool in model.calls[0].tools] == ["list_tasks"]
