"""The real server's answers are what /openapi.json says, and its examples work."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest

from lemonade_like.app import create_app
from lemonade_like.settings import Settings
from tests.support.described import Undescribed

#: These change what the server has, which all tests share. The server that schemathesis asks is sent their examples.
CHANGES_THE_SERVER = {
    *("loadModel", "unloadModel", "registerModel", "deleteModel", "pullModel", "cancelPull"),
    *("installBackend", "uninstallBackend"),
}
#: There is a model for these, though not the one that people know.
MODELS = {"createEmbeddings": "user.tiny-bert-embed"} | dict.fromkeys(
    ("rerank", "rerankForLemonade"), "user.tiny-bert-rerank"
)
#: Whose tools there are is for the configuration to say.
OF_TOOL_SERVERS = {"callTool"}


def _model_of(operation: dict[str, Any]) -> dict[str, str]:
    return {"model": MODELS[operation["operationId"]]} if operation["operationId"] in MODELS else {}


def examples() -> list[Any]:
    document = create_app(Settings()).openapi()
    return [
        pytest.param(path, example["value"] | _model_of(operation), id=f"{operation['operationId']}: {title}")
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if operation["operationId"] not in CHANGES_THE_SERVER | OF_TOOL_SERVERS
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for title, example in content.get("examples", {}).items()
    ]


@pytest.mark.parametrize(("path", "body"), examples())
def test_an_example_works(server: str, path: str, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{server}{path}", json=body, timeout=60)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["models", "models?show_all=true", "health", "stats", "system-info", "live"])
def test_what_is_told_is_described(server: str, path: str) -> None:
    assert httpx.get(f"{server}/v1/{path}", timeout=60).status_code == 200


def test_what_the_sdks_and_plain_requests_get_is_watched(
    server: str, client: openai.OpenAI, undescribed: list[Undescribed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Undescribed("seen")

    monkeypatch.setattr("tests.support.described.Described.check", refuse)
    chat: Any = {"model": "tiny-gpt-oss", "messages": [{"role": "user", "content": "What is 2+2?"}]}
    client.chat.completions.create(**chat)
    list(client.chat.completions.create(**chat, stream=True))
    with anthropic.Anthropic(base_url=server, api_key="none") as messages:
        messages.messages.create(**chat, max_tokens=64)
    httpx.get(f"{server}/v1/models")

    assert [str(error) for error in undescribed] == ["seen"] * 4
    undescribed.clear()
