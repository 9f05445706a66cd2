"""What is asked of a model beside answers: tokens, templates, slots and properties, on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = "tiny-gpt-oss"
TEXTS = ["", "Hello", "Hi 🙂 漢字 é", "<|start|>user<|message|>", "<|im_start|>system\n", "a\n\n b"]


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server}/v1", timeout=60) as client:
        yield client


@pytest.fixture(params=["gpt-oss", "another"])
def model(request: pytest.FixtureRequest, other: str) -> str:
    return TINY if request.param == "gpt-oss" else other


def _tokens(http: httpx.Client, model: str, text: str, **more: Any) -> list[Any]:
    answer = http.post("/tokenize", json={"model": model, "content": text, **more})
    assert answer.status_code == 200, answer.text
    tokens: list[Any] = answer.json()["tokens"]
    return tokens


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("parse_special", [True, False, None])
def test_a_text_comes_back_from_its_tokens(
    http: httpx.Client, model: str, text: str, parse_special: bool | None
) -> None:
    ids = _tokens(http, model, text, parse_special=parse_special)

    assert http.post("/detokenize", json={"model": model, "tokens": ids}).json() == {"content": text}


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_bytes_of_the_text(http: httpx.Client, model: str, text: str) -> None:
    pieces = _tokens(http, model, text, with_pieces=True)

    assert [piece["id"] for piece in pieces] == _tokens(http, model, text)
    spelled = (piece["piece"] for piece in pieces)
    assert b"".join(each.encode() if isinstance(each, str) else bytes(each) for each in spelled).decode() == text


def test_bytes_that_are_no_text_are_a_list(http: httpx.Client, other: str) -> None:
    assert [piece["piece"] for piece in _tokens(http, other, "漢", with_pieces=True)] == [[230], [188], [162]]


def test_markers_are_text_for_gpt_oss_and_tokens_for_others(http: httpx.Client, other: str) -> None:
    assert len(_tokens(http, TINY, "<|end|>")) > 1
    assert _tokens(http, TINY, "<|end|>", parse_special=True) == [200_007]
    assert _tokens(http, other, "<|im_start|>") == [1]
    assert len(_tokens(http, other, "<|im_start|>", parse_special=False)) > 1


def test_the_tokens_of_a_template_are_those_of_the_render(http: httpx.Client, model: str) -> None:
    chat = {"model": model, "messages": [{"role": "user", "content": "Hi there"}]}
    rendered = http.post("/chat/completions/render", json=chat).json()
    applied = http.post("/apply-template", json=chat)

    assert applied.json() == {"prompt": rendered["prompt"]}
    assert _tokens(http, model, rendered["prompt"], parse_special=True) == rendered["tokens"]


def test_an_id_that_the_model_has_not_is_refused(http: httpx.Client, model: str) -> None:
    answer = http.post("/detokenize", json={"model": model, "tokens": [1, 2**30]})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tokens")


def test_slots_and_props_are_the_engines_own(http: httpx.Client, model: str) -> None:
    http.post("/load", json={"model": model})
    slots = http.get("/slots", params={"model": model})
    props = http.get("/props", params={"model": model})
    loaded = next(each for each in http.get("/health").json()["models"] if each["name"] == model)

    assert [slot["id"] for slot in slots.json()] == list(range(loaded["parallel"]))
    assert props.json()["total_slots"] == loaded["parallel"]
    assert props.json()["model_alias"] == model


def test_with_several_models_loaded_one_must_be_named(http: httpx.Client, other: str) -> None:
    for model in (TINY, other):
        http.post("/load", json={"model": model})
    for path in ("/slots", "/props"):
        error = http.get(path).json()["error"]
        assert error["code"] == "missing_required_parameter"
        assert TINY in error["message"] and other in error["message"]


def test_a_model_that_is_not_there_has_none(http: httpx.Client) -> None:
    for path in ("/slots", "/props"):
        answer = http.get(path, params={"model": "nobody"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_counting_the_tokens_of_gpt_oss_loads_nothing(cache_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("w") as stderr, server_process(cache_dir, stderr=stderr.fileno()) as process:
        with httpx.Client(base_url=f"{address(process)}/v1") as http:
            ids = _tokens(http, TINY, "Hello there")
            assert http.post("/detokenize", json={"model": TINY, "tokens": ids}).json() == {"content": "Hello there"}
            assert http.get("/health").json()["models"] == []
            for path, params in (("/slots", {"model": TINY}), ("/props", {"model": TINY}), ("/slots", {})):
                answer = http.get(path, params=params)
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_loaded")
            assert http.get("/health").json()["models"] == []
        process.terminate()
        assert process.wait() == 0, log.read_text()
