"""The script that makes the models that the tests embed and rerank with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_like.models import facts

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_tiny_vector_models.py"


def test_it_writes_the_same_models_each_time(vector_models: dict[str, Path], tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=True)
    written = [Path(line) for line in run.stdout.splitlines()]
    assert {path.stem: path.read_bytes() for path in written} == {
        name: path.read_bytes() for name, path in vector_models.items()
    }


@pytest.mark.parametrize(
    ("name", "pooling", "labels"),
    [
        ("tiny-bert-embed", "mean", {"embeddings"}),
        ("tiny-llama-embed", "last", {"embeddings"}),
        ("tiny-bert-rerank", "rank", {"reranking"}),
    ],
)
def test_their_files_say_what_they_are_for(
    name: str, pooling: str, labels: set[str], vector_models: dict[str, Path]
) -> None:
    known = facts.of(vector_models[name])
    assert (known.pooling, known.labels, known.context_length) == (pooling, labels, 512)
    assert known.scores == (pooling == "rank")
    assert known.file_bytes < 500_000


def test_it_says_how_it_is_used() -> None:
    run = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "make_tiny_vector_models.py FOLDER" in run.stderr
