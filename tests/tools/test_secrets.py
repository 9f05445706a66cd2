"""What tool servers' URLs have in them, and what their tools are given and return, is told to nobody else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from starlette.responses import RedirectResponse, Response

from lemonade_like.observe.logging import setup_logging
from lemonade_like.settings.tools import ToolServer
from tests.support.process_state import process_state_kept
from tests.support.server import serving
from tests.tools.conftest import http_process, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    with process_state_kept():
        yield


async def test_the_debug_log_has_no_url_and_neither_arguments_nor_results(tmp_path: Path, free_port: int) -> None:
    log = io.StringIO()
    async with http_process(free_port):
        setup_logging("debug", log)
        far = ToolServer(url=f"http://127.0.0.1:{free_port}/mcp?key=s3cret")
        async with opened(tmp_path, far=far) as tools:
            outcome = await tools.call(await tools.named("get_weather"), {"location": "Atlantis"})

    assert "sunny" in outcome.text
    assert "the tool get_weather of far took" in log.getvalue()
    assert not [word for word in ("s3cret", "/mcp", "Atlantis", "sunny") if word in log.getvalue()]


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=401),
        Response("<h1>", status_code=500),
        Response("no JSON", media_type="application/json"),
        RedirectResponse("http://127.0.0.1:9/elsewhere?key=s3cret"),
    ],
    ids=["401", "500", "no JSON", "redirect"],
)
async def test_neither_the_error_nor_the_log_of_a_server_that_refuses_has_its_url(
    tmp_path: Path, answer: ASGIApp
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(scope, receive, send)

    log = io.StringIO()
    setup_logging("debug", log)
    async with serving(app) as url, opened(tmp_path, far=ToolServer(url=f"{url}/mcp?key=s3cret")) as tools:
        (report,) = await tools.report()

    assert report.error is not None and report.error.startswith("The tool server far cannot be reached")
    assert "s3cret" not in report.error + log.getvalue()
