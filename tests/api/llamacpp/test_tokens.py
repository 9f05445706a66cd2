"""POST /tokenize and /detokenize: what is asked, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.turns.tokens import TokenizeRequest
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services

TEXT: dict[str, Any] = {"model": "tiny", "content": "Hi"}
IDS: dict[str, Any] = {"model": "tiny", "tokens": [1, 2]}


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_what_is_asked(prefix: str) -> None:
    turns = ScriptedTurns()
    flags = {"add_special": True, "parse_special": False, "with_pieces": True}
    async with client_of(scripted_app(scripted_services(turns))) as client:
        plain = await client.post(f"{prefix}/tokenize", json=TEXT)
        pieces = await client.post(f"{prefix}/tokenize", json={**TEXT, **flags})
        text = await client.post(f"{prefix}/detokenize", json=IDS)

    assert plain.json() == {"tokens": [7]}
    assert pieces.json() == {"tokens": [{"id": 7, "piece": [240]}]}
    assert text.json() == {"content": "tiny: [1, 2]"}
    assert turns.tokenized == [
        TokenizeRequest("tiny", "Hi", client="127.0.0.1"),
        TokenizeRequest("tiny", "Hi", client="127.0.0.1", add_special=True, parse_special=False, with_pieces=True),
    ]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("tokenize", {"content": "Hi"}, "model"),
        ("tokenize", {"model": "tiny"}, "content"),
        ("tokenize", {**TEXT, "model": ""}, "model"),
        ("tokenize", {**TEXT, "content": 5}, "content"),
        ("tokenize", {**TEXT, "content": ["Hi"]}, "content"),
        ("tokenize", {**TEXT, "content": "a" * 4_194_305}, "content"),
        ("tokenize", {**TEXT, "with_pieces": "yes"}, "with_pieces"),
        ("tokenize", {**TEXT, "parse_special": 1}, "parse_special"),
        ("detokenize", {"tokens": []}, "model"),
        ("detokenize", {"model": "tiny"}, "tokens"),
        ("detokenize", {**IDS, "tokens": "1"}, "tokens"),
        ("detokenize", {**IDS, "tokens": ["1"]}, "tokens[0]"),
        ("detokenize", {**IDS, "tokens": [1, True]}, "tokens[1]"),
        ("detokenize", {**IDS, "tokens": [-1]}, "tokens[0]"),
        ("detokenize", {**IDS, "tokens": [2**63]}, "tokens[0]"),
        ("detokenize", {**IDS, "tokens": [1] * 1_048_577}, "tokens"),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_what_is_wrong_is_named(path: str, body: dict[str, Any], param: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(f"/v1/{path}", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", ["tokenize", "detokenize", "apply-template"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5"])
async def test_a_body_that_is_none_is_explained(path: str, body: bytes) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(f"/v1/{path}", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
