"""Vectors and rankings of the real engine, and of one that does what it is told."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, ModelNotFound
from lemonade_like.models.model import Model
from lemonade_like.pool.modes import WrongMode
from lemonade_like.vectors.request import EmbeddingsRequest, Input, RerankRequest
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, requests_of, write_scenario
from tests.support.vectors import VectorRig, answered, embedded, length, vector_rig

EMBEDDERS = ("tiny-bert-embed", "tiny-llama-embed")
TEXTS = (
    "Tokyo is in Japan",
    "a",
    "The panda eats bamboo, all day long.",
    "Straße 東京",
    "a b c d e f g h i j k l m n o p",
)
#: The engine reads several texts in one batch, and what else is in it moves the last digits. Flash attention rounds to
#: 16 bits in between, which would make a hundred times as much of it.
NOISE = 1e-4
EXACT = "--threads 1 --flash-attn off"
#: 510 words are 512 tokens with the two that the encoder adds.
LONGEST = "a " * 510


@pytest.fixture(scope="module")
async def rig(vector_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VectorRig]:
    """The real engine under all tiny models. One of them is said to be trained for short vectors."""
    models = [Model(name, path=path) for name, path in vector_models.items()]
    cut = Model("cut", path=vector_models["tiny-bert-embed"], labels=frozenset({"embeddings", "matryoshka"}))
    async with vector_rig(tmp_path_factory.mktemp("rig"), *models, cut, llamacpp_args=EXACT) as rig:
        yield rig


@pytest.mark.parametrize("model", EMBEDDERS)
async def test_a_batch_is_what_its_texts_are_one_by_one_in_their_order(model: str, rig: VectorRig) -> None:
    texts = [f"{number} {text}" for text in TEXTS for number in range(4)]
    batch = await rig.embed(model, *texts)
    alone = [await rig.embed(model, text) for text in texts]
    assert batch.prompt_tokens == sum(each.prompt_tokens for each in alone)
    for place, vector in enumerate(batch.vectors):
        assert vector.tolist() == pytest.approx(alone[place].vectors[0].tolist(), abs=NOISE)
        apart = [math.dist(vector, each.vectors[0]) for each in alone]
        assert apart.index(min(apart)) == place


@pytest.mark.parametrize("model", EMBEDDERS)
async def test_a_vector_is_of_its_text_alone_and_has_length_1(model: str, rig: VectorRig) -> None:
    found = [(await rig.embed(model, text)).vectors[0] for text in (*TEXTS, TEXTS[0])]
    assert found[0] == found[-1]
    assert all(len(vector) == 32 and length(vector) == pytest.approx(1, abs=1e-5) for vector in found)
    for first, second in itertools.pairwise(found):
        assert math.dist(first, second) > 0.01


async def test_token_ids_are_the_text_that_they_spell(rig: VectorRig) -> None:
    async with rig.pool.lease("tiny-bert-embed") as lease:
        ids = await lease.engine.tokenize("hello world")
    spelled, text = (await rig.embed("tiny-bert-embed", ids, "hello world")).vectors
    assert spelled.tolist() == pytest.approx(text.tolist(), abs=NOISE)


async def test_a_cut_vector_is_the_beginning_of_the_whole_at_length_1(rig: VectorRig) -> None:
    whole = (await rig.embed("cut", *TEXTS)).vectors
    cut = (await rig.embed("cut", *TEXTS, dimensions=8)).vectors
    for long, short in zip(whole, cut, strict=True):
        assert len(short) == 8
        stretch = length(long[:8])
        assert short.tolist() == pytest.approx([number / stretch for number in long[:8]], abs=NOISE / stretch)
    # All of it may be asked for, of any model.
    for model in ("cut", "tiny-bert-embed"):
        assert len((await rig.embed(model, "a", dimensions=32)).vectors[0]) == 32


@pytest.mark.parametrize(
    ("model", "dimensions", "said"),
    [
        ("tiny-bert-embed", 8, "must be 32, or left out.*label matryoshka"),
        ("tiny-bert-embed", 33, "is 33, but the vectors of tiny-bert-embed have 32 numbers"),
        ("cut", 33, "is 33, but the vectors of cut have 32 numbers"),
    ],
)
async def test_vectors_that_cannot_be_had_are_refused(model: str, dimensions: int, said: str, rig: VectorRig) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        await rig.embed(model, "a", dimensions=dimensions)
    assert refused.value.param == "dimensions"


async def test_a_text_as_long_as_the_context_is_read_and_a_longer_one_is_named_with_its_length(rig: VectorRig) -> None:
    assert (await rig.embed("tiny-bert-embed", LONGEST)).prompt_tokens == 512
    with pytest.raises(ContextLengthExceeded, match=r"'input\[2\]' has 513 tokens, but .* take 512") as refused:
        await rig.embed("tiny-bert-embed", "a", "b", LONGEST + "a", "c")
    assert refused.value.param == "input[2]"


async def test_a_decoder_reads_in_pieces_and_says_as_well_what_is_too_long(rig: VectorRig) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"'input\[0\]' has 1027 tokens, but .* take 512"):
        await rig.embed("tiny-llama-embed", "a " * 512)


@pytest.mark.parametrize("ids", [[5, 10**6], [-1], [193]])
async def test_ids_that_the_model_does_not_have_are_refused(ids: list[int], rig: VectorRig) -> None:
    with pytest.raises(BadRequest, match=r"refused 'input\[1\]'.*invalid tokens"):
        await rig.embed("tiny-bert-embed", "a", ids)


async def test_documents_are_ranked_by_the_engines_own_scores(rig: VectorRig) -> None:
    found = await rig.vectors.rerank(RerankRequest("tiny-bert-rerank", "hello", TEXTS))
    async with rig.pool.lease("tiny-bert-rerank") as lease:
        own = await lease.engine.rerank({"query": "hello", "documents": list(TEXTS)})
    expected = {result["index"]: result["relevance_score"] for result in own["results"]}
    assert dict(found.results) == pytest.approx(expected, abs=NOISE)
    scores = [score for _, score in found.results]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(TEXTS)
    assert found.prompt_tokens == own["usage"]["prompt_tokens"]


async def test_only_the_best_documents_come_back_if_no_more_are_wanted(rig: VectorRig) -> None:
    texts = ("zebra", "panda")  # far apart, and the first is the better one
    best = await rig.vectors.rerank(RerankRequest("tiny-bert-rerank", "hello", (texts[1], texts[0]), top_n=1))
    assert [index for index, _ in best.results] == [1]
    more = await rig.vectors.rerank(RerankRequest("tiny-bert-rerank", "hello", TEXTS, top_n=99))
    assert len(more.results) == len(TEXTS)


async def test_a_document_that_is_too_long_is_named_with_its_length(rig: VectorRig) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"'documents\[1\]' has \d+ tokens, but .* take 512"):
        await rig.vectors.rerank(RerankRequest("tiny-bert-rerank", "hello", ("a", LONGEST, "b")))


async def test_a_model_for_something_else_is_refused(rig: VectorRig) -> None:
    with pytest.raises(WrongMode, match="tiny-bert-rerank is a reranking model and makes no embeddings"):
        await rig.embed("tiny-bert-rerank", "a")
    with pytest.raises(WrongMode, match="tiny-bert-embed is an embedding model and does not rerank"):
        await rig.vectors.rerank(RerankRequest("tiny-bert-embed", "a", ("b",)))
    with pytest.raises(ModelNotFound):
        await rig.embed("nobody", "a")


async def test_the_engine_says_of_itself_what_it_is_doing(rig: VectorRig) -> None:
    await rig.embed("tiny-bert-embed", "a")
    loaded = next(model for model in rig.pool.loaded() if model.name == "tiny-bert-embed")
    assert (loaded.mode, loaded.ctx_size, loaded.harmony) == ("embeddings", 512, False)
    async with rig.pool.lease("tiny-bert-embed") as lease:
        assert await lease.engine.health()
        assert b'"is_processing":false' in (await lease.engine.slots() or b"")


# An engine that does what it is told


@asynccontextmanager
async def _fake(folder: Path, *replies: Any, labels: str = "embeddings") -> AsyncIterator[VectorRig]:
    scenario = write_scenario(folder / "fake.gguf", *replies)
    model = Model("fake", path=scenario, labels=frozenset({labels}))
    async with vector_rig(folder, model, llama_server=str(FAKE_LLAMA_SERVER), parallel=1, watchdog_timeout=0) as rig:
        yield rig


async def _ask_the_fake(folder: Path, *replies: Any, texts: tuple[Input, ...] = ("a", "b", "c")) -> list[list[float]]:
    async with _fake(folder, *replies) as rig:
        found = await rig.embed("fake", *texts)
        return [vector.tolist() for vector in found.vectors]


@pytest.mark.parametrize("death", [{"exit": 3}, {"exit": -9}, {"drop": True}])
async def test_a_batch_whose_engine_dies_is_gone_on_with_where_it_was(death: dict[str, Any], tmp_path: Path) -> None:
    found = await _ask_the_fake(tmp_path, embedded(1, 0), [death], embedded(0, 1), embedded(-1, 0))
    assert found == [[1, 0], [0, 1], [-1, 0]]
    asked = [request["body"]["input"] for request in requests_of(tmp_path / "fake.gguf")]
    assert asked == [["a"], ["b"], ["b"], ["c"]]


@pytest.mark.parametrize(
    "reply",
    [
        answered({}),
        answered([]),
        answered({"data": [], "usage": {"prompt_tokens": 1}}),
        answered({"data": [{"embedding": "AAA"}], "usage": {"prompt_tokens": 1}}),
        answered({"data": [{"embedding": None}], "usage": {"prompt_tokens": 1}}),
        answered({"data": [{"embedding": "AADAfw=="}], "usage": {"prompt_tokens": 1}}),
        answered({"data": [{"embedding": "AAAAAA=="}]}),
    ],
    ids=["nothing", "a list", "no vector", "no floats", "null", "not a number", "no usage"],
)
async def test_an_answer_without_numbers_is_the_engines_failure(reply: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match=r"answered 'input\[0\]' with no numbers"):
        await _ask_the_fake(tmp_path, reply)


async def test_a_ranking_without_a_score_is_the_engines_failure(tmp_path: Path) -> None:
    reply = answered({"results": [{"index": 0, "relevance_score": None}], "usage": {"prompt_tokens": 1}})
    async with _fake(tmp_path, reply, labels="reranking") as rig:
        with pytest.raises(EngineFailure, match=r"answered 'documents\[0\]' with no numbers"):
            await rig.vectors.rerank(RerankRequest("fake", "a", ("b",)))


async def test_a_client_that_leaves_frees_the_engine(tmp_path: Path) -> None:
    async with _fake(tmp_path, [{"hang": True}]) as rig:
        asking = asyncio.create_task(rig.embed("fake", "a", "b"))
        while not requests_of(tmp_path / "fake.gguf"):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert rig.pool.spare_slots("fake") == 1
        assert len(requests_of(tmp_path / "fake.gguf")) == 1


async def test_clients_take_turns(tmp_path: Path) -> None:
    async with _fake(tmp_path, embedded(1, 0)) as rig:
        await rig.embed("fake", "first")
        batches = [("one", "a"), ("one", "b"), ("one", "c"), ("two", "d")]
        requests = [EmbeddingsRequest("fake", (text,), client=client) for client, text in batches]
        await asyncio.gather(*(rig.vectors.embed(request) for request in requests))
        asked = [request["body"]["input"][0] for request in requests_of(tmp_path / "fake.gguf")]
        assert asked == ["first", "a", "b", "d", "c"]
