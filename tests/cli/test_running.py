"""``lemonade-like ps``, ``load``, ``unload`` and ``stop`` against a server."""

from __future__ import annotations

import asyncio
import io

import pytest
from pydantic import SecretStr
from rich.console import Console

from lemonade_like.cli.running import load_model, show_running, stop_server, unload_model
from lemonade_like.cli.server_client import ServerRefused
from lemonade_like.errors import NotEnoughMemory
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.pool.pool import LoadReport
from lemonade_like.settings import Settings
from tests.support.loaded import READY
from tests.support.server import serving
from tests.support.turns import FakePool, scripted_app, scripted_services


async def shown(pool: FakePool, *, key: str | None = None, with_key: str | None = None) -> str:
    """What ``ps`` prints."""
    app = scripted_app(scripted_services(pool=pool), **({"api_key": key} if key else {}))
    async with serving(app) as url:
        said = io.StringIO()
        settings = at(url, with_key)
        await asyncio.to_thread(show_running, settings, Console(file=said, width=200))
        return said.getvalue()


def at(url: str, key: str | None = None) -> Settings:
    return Settings(host="0.0.0.0", port=int(url.rsplit(":", 1)[1]), **({"api_key": key} if key else {}))


async def test_ps_lists_what_runs() -> None:
    said = await shown(FakePool(READY))
    assert "tiny (pinned)" in said
    for fact in ("ready", "bundled", "0 of 4", "55 MB", "12 s"):
        assert fact in said
    assert await shown(FakePool()) == "No model is loaded.\n"


async def test_a_server_with_a_key_wants_it() -> None:
    assert "tiny" in await shown(FakePool(READY), key="sesame", with_key="sesame")
    with pytest.raises(ServerRefused, match="LEMONADE_LIKE_API_KEY"):
        await shown(FakePool(READY), key="sesame")


async def test_load_and_unload_say_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    pool = FakePool(READY, report=LoadReport(READY, 1.25, ("evicting B (9.1 GB, idle 312 s): at most one",)))
    async with serving(scripted_app(scripted_services(pool=pool))) as url:
        options = {"ctx_size": 512, "llamacpp_backend": None, "pinned": True}
        await asyncio.to_thread(load_model, at(url), "tiny", options)
        await asyncio.to_thread(unload_model, at(url), None)
    assert capsys.readouterr().out.splitlines() == [
        "evicting B (9.1 GB, idle 312 s): at most one",
        "tiny is loaded in 1.2 s.",
        "Unloaded tiny.",
    ]
    assert pool.loads == [("tiny", LoadOptions(ctx_size=512), True)]


async def test_what_concerns_everybody_is_asked_for_with_the_admin_key(capsys: pytest.CaptureFixture[str]) -> None:
    stopped: list[str] = []
    services = scripted_services(pool=FakePool(READY), stop=lambda: stopped.append("stopped"))
    async with serving(scripted_app(services, api_key="sesame", admin_key="boss")) as url:
        with pytest.raises(ServerRefused, match=r"Send the admin key[\s\S]*LEMONADE_LIKE_ADMIN_KEY"):
            await asyncio.to_thread(stop_server, at(url, "sesame"))
        with pytest.raises(ServerRefused, match=r"carries none[\s\S]*LEMONADE_LIKE_API_KEY"):
            await asyncio.to_thread(stop_server, at(url))
        both = at(url, "sesame").model_copy(update={"admin_key": (SecretStr("boss"),)})
        await asyncio.to_thread(stop_server, both)
    assert stopped == ["stopped"]
    assert "stops" in capsys.readouterr().out


async def test_a_refusal_is_passed_on_in_the_servers_words() -> None:
    pool = FakePool(report=NotEnoughMemory("tiny needs 9.0 GB."))
    async with serving(scripted_app(scripted_services(pool=pool))) as url:
        with pytest.raises(ServerRefused, match=r"^tiny needs 9\.0 GB\.$"):
            await asyncio.to_thread(load_model, at(url), "tiny", {})
        gone = at(url)
    with pytest.raises(ServerRefused, match=r"No server answers[\s\S]*lemonade-like serve"):
        await asyncio.to_thread(unload_model, gone, "tiny")
