"""docs/tools.md tells what is so: its configuration loads, its MCP server runs, and its tables are whole."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lemonade_like.api.openai.server_tools import ServerToolFields
from lemonade_like.configuration import load_settings
from lemonade_like.settings import Settings
from lemonade_like.settings.tools import ToolServer
from lemonade_like.tools import errors
from tests.tools.conftest import opened

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()


def block(language: str, containing: str = "") -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return next(one for one in found if containing in one)


async def test_the_configuration_loads_and_the_server_of_the_page_answers(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(block("yaml"))
    settings = load_settings({"config": config}, {"SEARCH_TOKEN": "x"})
    (tmp_path / "weather.py").write_text(block("python", "MCPServer"))
    weather = settings.tool_servers["weather"].model_copy(update={"command": sys.executable, "cwd": tmp_path})

    async with opened(tmp_path, weather=weather) as tools:
        outcome = await tools.call(await tools.named("get_weather"), {"location": "Tokyo"})
    assert "sunny" in outcome.text


def test_the_tables_have_every_field_and_every_error() -> None:
    assert [name for name in ToolServer.model_fields if f"`{name}`" not in PAGE] == []
    assert [name for name in ServerToolFields.model_fields if f"`{name}`" not in PAGE] == []
    raised = [error for error in vars(errors).values() if getattr(error, "__module__", "") == errors.__name__]
    assert raised
    for error in raised:
        assert f"| {error.status} | `{error.default_code}` |" in PAGE


def test_the_defaults_are_those_that_are_told() -> None:
    settings = Settings()
    assert f"`max_tool_rounds` ({settings.max_tool_rounds})" in PAGE
    assert f"`tool_result_limit` ({settings.tool_result_limit:,} characters" in PAGE
    assert f"may take: {ToolServer(command='x').timeout:g} |" in PAGE
