"""docs/api/embeddings.md and docs/api/rerank.md tell what is so: their examples run, and the table of a
ranking is complete."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from lemonade_like.api.jina.rerank import RerankAnswer, RerankBody
from lemonade_like.api.openai.embeddings import EmbeddingsAnswer
from lemonade_like.models.built_in import built_in_models

FOLDER = Path(__file__).parents[2] / "docs" / "api"
PAGES = {name: (FOLDER / f"{name}.md").read_text(encoding="utf-8") for name in ("embeddings", "rerank")}
#: The models of the examples, and those that stand for them.
MODELS = {"nomic-embed-text-v1.5-GGUF": "user.tiny-matryoshka", "bge-reranker-v2-m3-GGUF": "user.tiny-bert-rerank"}


def _blocks(page: str, language: str, server: str = "") -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)
    for name, other in MODELS.items():
        # The tiny ones have 32 dimensions.
        found = [each.replace(name, other).replace("dimensions=256", "dimensions=8") for each in found]
    return [each.replace("http://localhost:8000", server).replace("localhost:8000", server) for each in found]


@pytest.mark.parametrize(("page", "printed"), [("embeddings", r"8 -?\d\.\d+\n"), ("rerank", r"(\d -?\d+\.\d+\n){2}")])
def test_the_example_of_the_sdk_runs(page: str, printed: str, server: str) -> None:
    (example,) = _blocks(page, "python", server)
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(printed, run.stdout)


@pytest.mark.parametrize(("page", "answer"), [("embeddings", EmbeddingsAnswer), ("rerank", RerankAnswer)])
def test_the_example_of_curl_answers_what_is_shown(page: str, answer: type[BaseModel], server: str) -> None:
    command = shlex.split(_blocks(page, "sh", server)[0])
    assert command[0] == "curl"
    got: Any = httpx.post(command[1], content=command[command.index("-d") + 1]).json()
    (shown,) = map(json.loads, _blocks(page, "json"))
    assert _shape(got) == _shape(shown)
    answer.model_validate(shown)


def _shape(value: Any) -> Any:
    """What fields there are, of lists those of the first."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    return [_shape(value[0])] if isinstance(value, list) else None


def test_the_table_has_every_field_of_a_ranking_that_is_read() -> None:
    table = PAGES["rerank"].partition("## Fields of the request")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(RerankBody.model_fields)


def test_the_models_of_the_registry_that_are_named_have_the_labels() -> None:
    labels = {model.name: model.labels for model in built_in_models()}
    cut = {name for name, labels in labels.items() if "matryoshka" in labels}
    named = re.search(r"So the label says it, for (.*?) of the registry", PAGES["embeddings"], re.DOTALL)
    assert named is not None
    assert set(re.findall(r"`(.*?)`", named[1])) == cut
    assert "reranking" in labels["bge-reranker-v2-m3-GGUF"]
