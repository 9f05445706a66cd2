"""What an engine gets to see of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.app import create_app
from lemonade_like.settings import Settings
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, requests_of, write_scenario
from tests.support.turns import client_of

if TYPE_CHECKING:
    from pathlib import Path

#: What a client, a proxy or a library may send along.
SENT = {
    "Authorization": b"Bearer of-the-client",
    "x-api-key": b"of-the-client",
    "Cookie": b"session=of-the-client",
    "User-Agent": b"of-the-client",
    "Forwarded": b"for=of-the-client",
    "X-Forwarded-For": b"of-the-client",
    "X-Request-ID": b"of-the-client",
    "OpenAI-Organization": b"of-the-client",
    "anthropic-beta": b"of-the-client",
    "X-Anything": b"of-the-client",
}
#: The engine's own key is in the last one; with another, the fake had refused.
OURS = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "authorization"}
ENDPOINTS = {
    "chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    "responses": {"input": "Hi"},
}


async def test_a_clients_headers_never_reach_the_engine(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path / "some-model.gguf")
    settings = Settings(
        cache_dir=tmp_path, models=(str(scenario),), llama_server=str(FAKE_LLAMA_SERVER), api_key="of-the-client"
    )
    async with client_of(create_app(settings), headers=SENT) as client:
        for endpoint, body in ENDPOINTS.items():
            await client.post(f"/v1/{endpoint}", json={"model": "some-model", **body})

    asked = requests_of(scenario)
    assert len(asked) >= len(ENDPOINTS)
    for request in asked:
        headers = {name.lower(): value for name, value in request["headers"].items()}
        assert not [name for name, value in headers.items() if "of-the-client" in value]
        assert headers.keys() <= OURS
