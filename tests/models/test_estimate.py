from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.engine.find import bundled_command
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import EngineSpec
from lemonade_like.models import estimate, facts
from lemonade_like.models.facts import ModelFacts

#: gpt-oss-20b as its makers publish it: 24 layers, every other with a window of 128, 8 heads of 64.
GPT_OSS_20B = ModelFacts(
    architecture="gpt-oss",
    context_length=131_072,
    quantisation="MXFP4",
    parameters=20_914_757_184,
    file_bytes=12_109_566_560,
    kv_bytes_per_token=12 * 8 * 128 * 2,
    window_kv_bytes_per_token=12 * 8 * 128 * 2,
    sliding_window=128,
    embedding_length=2880,
    feed_forward_length=2880,
    vocabulary_size=201_088,
    has_chat_template=True,
    labels=frozenset({"gpt-oss"}),
)


@pytest.mark.parametrize(
    ("which", "ctx_total", "parallel"), [("tiny", 8192, 4), ("tiny", 1000, 1), ("smollm", 4096, 2)]
)
async def test_the_cache_is_as_large_as_the_engine_says(
    which: str, ctx_total: int, parallel: int, tiny_model: Path, smollm: Path, tmp_path: Path
) -> None:
    path = tiny_model if which == "tiny" else smollm
    spec = EngineSpec(
        command=bundled_command(),
        backend="bundled",
        model_path=path,
        alias="m",
        ctx_size=ctx_total,
        parallel=parallel,
        jinja=False,
        extra_args=("--no-warmup", "--threads", "1", "--log-verbosity", "4"),
    )
    async with aiohttp.ClientSession() as session:
        engine = await EngineProcess.start(spec, log_dir=tmp_path, session=session)
        await engine.stop()
    printed = engine.log_path.read_text(encoding="utf-8")
    caches = re.findall(r"KV buffer size =\s+([\d.]+) MiB", printed)
    buffers = re.findall(r"(?:compute|output) buffer size =\s+([\d.]+) MiB", printed)

    found = facts.of(path)

    kv = estimate.memory(found, ctx_total, parallel).kv / 2**20
    assert kv == pytest.approx(sum(map(float, caches)), abs=0.005 * len(caches))  # it prints two decimals
    assert kv > 0
    printed_buffers = sum(map(float, buffers)) * 2**20
    assert 0.5 * printed_buffers < estimate.buffers(found, parallel) < 2 * printed_buffers


async def test_the_estimate_is_near_what_the_engine_takes(smollm: Path, tmp_path: Path) -> None:
    command = bundled_command()
    spec = EngineSpec(command, "bundled", smollm, "m", 4096, 2, jinja=False, extra_args=("--threads", "1"))
    before = {child.pid for child in psutil.Process().children()}
    async with aiohttp.ClientSession() as session:
        engine = await EngineProcess.start(spec, log_dir=tmp_path, session=session)
        started = [child for child in psutil.Process().children() if child.pid not in before]
        taken = sum(child.memory_info().rss for child in started)
        await engine.stop()
    assert 0.6 * taken < estimate.memory(facts.of(smollm), 4096, 2).total < 1.6 * taken


def test_a_context_of_nothing_is_all_that_the_model_was_trained_for() -> None:
    assert estimate.memory(GPT_OSS_20B, 0, 1) == estimate.memory(GPT_OSS_20B, 131_072, 1)


def test_a_projector_counts() -> None:
    plain, seeing = (estimate.memory(GPT_OSS_20B, 8192, 1, size) for size in (0, 1000))
    assert seeing.total - plain.total == 1000


@pytest.mark.parametrize(("context", "batch"), [(100, 512), (512, 512), (700, 768), (8192, 8192)])
def test_what_is_read_at_once_is_worked_on_at_once(context: int, batch: int) -> None:
    assert estimate.batch(context) == batch
    encoder = replace(GPT_OSS_20B, kv_bytes_per_token=0, window_kv_bytes_per_token=0)
    whole = estimate.memory(encoder, 4 * context, 4, at_once=True)
    assert whole.kv == 0
    assert whole.compute - estimate.memory(encoder, 4 * context, 4).compute == (batch - 512) * 4 * 9 * 2880


def test_layers_with_a_window_cost_no_more_when_the_context_grows() -> None:
    windowed = replace(GPT_OSS_20B, kv_bytes_per_token=0)
    assert estimate.memory(windowed, 8192, 1).kv == estimate.memory(windowed, 131_072, 1).kv == 768 * 12 * 8 * 128 * 2


@pytest.mark.parametrize(
    ("gigabytes", "parallel", "expected"),
    [(64, 4, 32_768), (14, 1, 32_768), (13.5, 4, 11_264), (12.5, 4, 2_048), (1, 4, 2_048)],
)
def test_the_automatic_context_is_what_fits(gigabytes: float, parallel: int, expected: int) -> None:
    budget = int(gigabytes * 1e9)
    context = estimate.automatic_context(GPT_OSS_20B, parallel, budget)
    assert context == expected


@given(
    trained=st.integers(0, 300_000),
    parallel=st.integers(1, 16),
    budget=st.integers(0, 10**11),
    limit=st.integers(1024, 200_000),
    at_once=st.booleans(),
)
def test_the_automatic_context_fits_and_nothing_larger_does(
    trained: int, parallel: int, budget: int, limit: int, at_once: bool
) -> None:
    model = replace(GPT_OSS_20B, context_length=trained)

    context = estimate.automatic_context(model, parallel, budget, limit=limit, at_once=at_once)

    most = min(trained or estimate.UNKNOWN_CONTEXT, limit)
    assert 0 < context <= most
    if context > min(2048, most):
        assert estimate.memory(model, context * parallel, parallel, at_once=at_once).total <= budget
    if context < most:
        larger = min(context + 1024 + 256, most)
        assert estimate.memory(model, larger * parallel, parallel, at_once=at_once).total > budget
