"""What a load makes of the settings, the model and the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lemonade_like.engine.find import FoundEngine
from lemonade_like.engine.process import EngineProcess
from lemonade_like.errors import EngineFailure
from lemonade_like.models import estimate, facts
from lemonade_like.models.registry import Model, ModelOptions, Registry
from lemonade_like.pool import loader as loader_module
from lemonade_like.pool.loader import Loader, LoadOptions, Survey
from lemonade_like.pool.memory import MachineMemory
from lemonade_like.pool.modes import WrongMode
from lemonade_like.pool.resident import Resident
from lemonade_like.settings import Settings
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario
from tests.support.pools import NoFormats
from tests.support.processes import is_running

FAKE = FoundEngine((str(FAKE_LLAMA_SERVER),), "system", "explicit")
OPTIONS = ModelOptions(ctx_size=2048, parallel=1, llamacpp_args="--threads 1")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


class Bench:
    """Loads a model whose file is a scenario of the fake engine."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.session = session

    async def load(self, *, options: ModelOptions | None = None, props: Any = None, **settings: Any) -> Resident[None]:
        path = write_scenario(self.folder / "a-model.gguf", props=props or {})
        chosen = Settings(cache_dir=self.folder, **settings)
        model = Model("a-model", path=path, options=options or ModelOptions())
        registry = Registry([model], cache_dir=self.folder)
        loader = Loader(registry, chosen, self.session, NoFormats(), FAKE)
        return await loader.start(await loader.survey(model))


@pytest.fixture
def bench(tmp_path: Path, session: aiohttp.ClientSession) -> Bench:
    return Bench(tmp_path, session)


@pytest.mark.parametrize(
    "props",
    [
        {"default_generation_settings": None},
        {"default_generation_settings": []},
        {"default_generation_settings": {"n_ctx": "many"}},
        {"default_generation_settings": {"n_ctx": 0}},
    ],
)
async def test_an_engine_with_odd_props_has_the_context_that_was_asked_for(bench: Bench, props: Any) -> None:
    resident = await bench.load(props=props, ctx_size=1000)
    await resident.process.stop()
    assert resident.context_length == 1000


async def test_what_the_engine_says_of_its_context_holds(bench: Bench) -> None:
    resident = await bench.load(props={"default_generation_settings": {"n_ctx": 768}}, ctx_size=1000)
    await resident.process.stop()
    assert resident.context_length == 768


async def test_an_engine_that_nobody_gets_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def fail(self: EngineProcess) -> int:
        pids.append(self.pid)
        raise ZeroDivisionError

    monkeypatch.setattr(EngineProcess, "slot_context", fail)
    with pytest.raises(ZeroDivisionError):
        await bench.load()
    assert [is_running(pid) for pid in pids] == [False]


async def test_a_load_has_the_time_that_the_settings_give_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    async def start(*_: Any, load_timeout: float | None, **__: Any) -> EngineProcess:
        asked.append(load_timeout)
        raise EngineFailure("that is all")

    monkeypatch.setattr(loader_module.EngineProcess, "start", start)
    for seconds in (0, 30):
        with pytest.raises(EngineFailure):
            await bench.load(load_timeout=seconds)
    assert asked == [None, 30]


async def test_a_log_folder_that_cannot_be_written_is_said_to_the_client(bench: Bench) -> None:
    (bench.folder / "logs").write_text("a file where a folder should be")
    with pytest.raises(EngineFailure, match=r"log cannot be written to .*LEMONADE_LIKE_LOG_DIR"):
        await bench.load()


async def test_a_cache_that_cannot_be_written_is_said_to_the_client(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    settings = Settings(cache_dir=tmp_path)
    registry = Registry.from_settings(settings)
    with pytest.raises(EngineFailure, match=r"could not be unpacked into .*LEMONADE_LIKE_CACHE_DIR"):
        await Loader(registry, settings, session, NoFormats(), FAKE).survey(registry.find("tiny-gpt-oss"))


async def test_a_models_own_options_reach_its_engine(bench: Bench) -> None:
    resident = await bench.load(options=OPTIONS)
    await resident.process.stop()
    command = " ".join(resident.process.command)
    assert "--ctx-size 2048 --parallel 1" in command
    assert command.endswith("--threads 1")


@pytest.fixture
def survey_with(
    tiny_model: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> Callable[..., Awaitable[Survey[None]]]:
    """What a load would be, with engines installed for vulkan and cuda."""
    for backend in ("vulkan", "cuda"):
        executable = tmp_path / "backends" / backend / "llama-server"
        executable.parent.mkdir(parents=True)
        executable.touch(mode=0o755)

    async def survey(own: ModelOptions, asked: LoadOptions, **settings: Any) -> Survey[None]:
        model = Model("m", path=tiny_model, options=own)
        registry = Registry([model], cache_dir=tmp_path)
        given = Settings(harmony="never", cache_dir=tmp_path, **settings)
        return await Loader(registry, given, session, NoFormats(), FAKE).survey(model, asked)

    return survey


async def test_a_models_own_options_go_before_the_servers(
    survey_with: Callable[..., Awaitable[Survey[None]]],
) -> None:
    own = ModelOptions(ctx_size=2048, parallel=1, llamacpp_backend="cuda", llamacpp_args="--threads 2")
    found = await survey_with(
        own,
        LoadOptions(),
        parallel=4,
        llamacpp_args="-v --threads 8",
        llamacpp_args_by_backend={"cuda": "--no-mmap", "vulkan": "--mlock"},
    )
    assert (found.spec.ctx_size, found.spec.parallel, found.spec.backend) == (2048, 1, "cuda")
    assert found.spec.extra_args == ("-v", "--no-mmap", "--threads", "2")


async def test_what_a_request_asks_for_goes_before_all(survey_with: Callable[..., Awaitable[Survey[None]]]) -> None:
    asked = LoadOptions(ctx_size=512, llamacpp_backend="vulkan", llamacpp_args="")
    found = await survey_with(OPTIONS, asked, ctx_size=4096)
    assert (found.context_length, found.spec.parallel, found.spec.extra_args) == (512, 1, ())
    assert (found.spec.backend, Path(found.spec.command[0]).parent.name) == ("vulkan", "vulkan")


async def test_a_projector_goes_to_the_engine_with_its_model(
    tiny_model: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    projector = tmp_path / "mmproj.gguf"
    projector.write_bytes(b"GGUF" * 1000)
    model = Model("m", path=tiny_model)
    registry = Registry([model], cache_dir=tmp_path)
    loader = Loader(registry, Settings(harmony="never"), session, NoFormats(), FAKE)
    without, seeing = await loader.survey(model), await loader.survey(replace(model, mmproj_path=projector))
    assert (without.spec.mmproj_path, seeing.spec.mmproj_path) == (None, projector)
    assert seeing.bytes >= without.bytes + 4000


async def test_the_context_and_the_estimate_come_from_the_file_and_the_memory(
    tiny_model: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    async def survey(total: int, **settings: Any) -> Survey[None]:
        registry = Registry([model], cache_dir=tmp_path)
        memory = MachineMemory(total, total)
        loader = Loader(registry, Settings(harmony="never", **settings), session, NoFormats(), FAKE, lambda _: memory)
        return await loader.survey(model)

    model = Model("tiny", path=tiny_model)
    known = facts.of(tiny_model)
    roomy = await survey(10**12)
    less = roomy.bytes - 1_000_000
    # Of a small machine, a tenth is left to others.
    tight, budgeted = await survey(less * 10 // 9), await survey(10**12, memory_budget=less / 1e9)
    assert roomy.context_length == min(known.context_length, estimate.AUTOMATIC_CONTEXT)
    assert roomy.context_length > tight.context_length == budgeted.context_length
    for found in (roomy, tight, budgeted):
        assert found.bytes == estimate.memory(known, found.context_length * 4, 4).total
        assert found.spec.ctx_size == found.context_length * 4


@pytest.mark.parametrize(
    ("name", "options", "mode", "pooling", "context", "batch"),
    [
        ("tiny-bert-embed", {}, "embeddings", None, 512, 512),
        ("tiny-llama-embed", {}, "embeddings", None, 512, None),
        ("tiny-bert-rerank", {}, "reranking", None, 512, 512),
        # More than the model was trained for is of no use to a model that reads at once.
        ("tiny-bert-embed", {"ctx_size": 4096}, "embeddings", None, 512, 512),
        ("tiny-bert-embed", {"ctx_size": 300}, "embeddings", None, 300, 512),
        # Only a last token can be had of a text that is read in pieces.
        ("tiny-llama-embed", {"llamacpp_args": "--pooling mean"}, "embeddings", None, 512, 512),
    ],
)
async def test_a_model_that_embeds_or_reranks_is_started_for_that(
    name: str,
    options: dict[str, Any],
    mode: str,
    pooling: str | None,
    context: int,
    batch: int | None,
    vector_models: dict[str, Path],
    tmp_path: Path,
    session: aiohttp.ClientSession,
) -> None:
    model = Model(name, path=vector_models[name], options=ModelOptions(**options))
    loader = Loader(Registry([model], cache_dir=tmp_path), Settings(), session, NoFormats(), FAKE)
    spec = (await loader.survey(model)).spec
    assert (spec.mode, spec.pooling, spec.batch, spec.jinja) == (mode, pooling, batch, False)
    assert spec.ctx_size == context * spec.parallel


async def test_a_label_makes_any_model_one_that_embeds(
    tiny_model: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    labels = frozenset({"gpt-oss", "embeddings"})
    model = Model("m", path=tiny_model, labels=labels, options=ModelOptions(ctx_size=1000))
    loader = Loader(Registry([model], cache_dir=tmp_path), Settings(), session, NoFormats(), FAKE)
    found = await loader.survey(model)
    assert (found.spec.mode, found.spec.pooling, found.spec.batch) == ("embeddings", "last", None)
    assert (found.spec.jinja, found.prompt_format) == (False, None)


@pytest.mark.parametrize("name", ["tiny-bert-embed", "tiny-llama-embed"])
async def test_no_label_makes_a_model_rerank_that_has_no_head_for_it(
    name: str, vector_models: dict[str, Path], tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    model = Model(name, path=vector_models[name], labels=frozenset({"reranking"}))
    loader = Loader(Registry([model], cache_dir=tmp_path), Settings(), session, NoFormats(), FAKE)
    with pytest.raises(WrongMode, match="cannot rerank: its file has no head that scores texts"):
        await loader.survey(model)
