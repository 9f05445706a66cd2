"""``POST /shutdown``; that it stops a real server is in tests/e2e/test_access.py."""

from __future__ import annotations

from tests.support.turns import client_of, scripted_app, scripted_services


async def test_the_server_is_told_to_stop_whatever_the_body_is() -> None:
    told: list[None] = []
    async with client_of(scripted_app(scripted_services(stop=lambda: told.append(None)))) as client:
        answers = [await client.post("/v1/shutdown", content=body) for body in (b"", b"{}", b"no JSON", b"\xff")]
        answers.append(await client.post("/api/v1/shutdown"))
    assert [answer.json()["status"] for answer in answers] == ["success"] * 5
    assert len(told) == 5


async def test_nobody_stops_it_by_a_link() -> None:
    told: list[None] = []
    async with client_of(scripted_app(scripted_services(stop=lambda: told.append(None)))) as client:
        assert (await client.get("/v1/shutdown")).status_code == 405
    assert not told
