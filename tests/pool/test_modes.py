from __future__ import annotations

from dataclasses import replace

import pytest

from lemonade_like.models.facts import ModelFacts, Pooling
from lemonade_like.models.model import Model
from lemonade_like.pool.modes import Reading, reading, wrong_mode
from lemonade_like.settings import Mode

KNOWN = ModelFacts(
    architecture="bert",
    context_length=512,
    quantisation=None,
    parameters=1,
    file_bytes=1,
    kv_bytes_per_token=0,
    window_kv_bytes_per_token=0,
    sliding_window=0,
    embedding_length=32,
    feed_forward_length=64,
    vocabulary_size=10,
    has_chat_template=False,
    labels=frozenset(),
)


def test_a_chat_is_read_as_the_engine_likes() -> None:
    assert reading("chat", KNOWN, "mean") == Reading()


@pytest.mark.parametrize("known", [None, KNOWN, replace(KNOWN, pooling="last")])
def test_a_pair_of_texts_is_read_at_once(known: ModelFacts | None) -> None:
    assert reading("reranking", known) == Reading(8_192, None, at_once=True)


@pytest.mark.parametrize(
    ("encoder", "pooling", "asked", "told", "at_once"),
    [
        (True, "mean", None, None, True),
        (True, "cls", None, None, True),
        (True, None, None, "mean", True),
        (True, "last", None, None, True),
        (False, "last", None, None, False),
        (False, None, None, "last", False),
        (False, "none", None, "last", False),
        (False, "mean", None, None, True),
        (False, "last", "mean", None, True),
        (False, "mean", "last", None, False),
        (True, "rank", None, "mean", True),
        (False, "rank", None, "last", False),
    ],
)
def test_a_text_is_read_in_pieces_only_if_its_last_token_stands_for_it(
    encoder: bool, pooling: Pooling | None, asked: str | None, told: str | None, at_once: bool
) -> None:
    known = replace(KNOWN, encoder=encoder, pooling=pooling)
    assert reading("embeddings", known, asked) == Reading(8_192, told, at_once=at_once)


def test_of_a_file_that_cannot_be_read_a_decoder_is_assumed() -> None:
    assert reading("embeddings", None) == Reading(8_192, "last", at_once=False)


@pytest.mark.parametrize(
    ("mode", "wanted", "said"),
    [
        ("embeddings", "chat", "m is an embedding model and does not chat: ask it at /v1/embeddings."),
        ("embeddings", "reranking", "m is an embedding model and does not rerank: ask it at /v1/embeddings."),
        ("reranking", "chat", "m is a reranking model and does not chat: ask it at /v1/rerank."),
        ("chat", "embeddings", "lemonade-like register NAME org/m:Q4_0 --label embeddings"),
        ("chat", "reranking", "lemonade-like register NAME org/m:Q4_0 --label reranking"),
    ],
)
def test_a_model_for_something_else_is_refused_with_what_to_do(mode: Mode, wanted: Mode, said: str) -> None:
    error = wrong_mode(Model("m", checkpoint="org/m:Q4_0"), mode, wanted)
    assert said in error.message
    assert (error.status, error.param, error.code) == (400, "model", "wrong_model_mode")
