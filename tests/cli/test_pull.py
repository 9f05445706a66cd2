from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lemonade_like.models.download import Checkpoint
from lemonade_like.models.registry import built_in_models
from tests.support.hub import running_hub

NAME = "gpt-oss-20b-GGUF"


def lemonade_like(*arguments: str, endpoint: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hub"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "APPDATA": str(folder / "config"),
        "COLUMNS": "200",
    }
    environ.pop("HF_HUB_CACHE", None)
    return subprocess.run(
        [sys.executable, "-m", "lemonade_like", *arguments], env=environ, capture_output=True, text=True, check=False
    )


def test_after_a_pull_the_model_is_on_this_machine(tmp_path: Path) -> None:
    checkpoint = next(Checkpoint.parse(model.checkpoint or "") for model in built_in_models() if model.name == NAME)
    file = f"some-name-{checkpoint.quant}.gguf"
    with running_hub({checkpoint.repo: {file: b"GGUF", "mmproj.gguf": b"GGUF"}}) as hub:
        pulled = lemonade_like("pull", NAME.lower(), endpoint=hub.url, folder=tmp_path)
        listed = lemonade_like("models", endpoint=hub.url, folder=tmp_path)

    assert pulled.returncode == 0, pulled.stderr
    assert f"Fetching {file} (1 of 1)" in pulled.stderr
    assert f"lemonade-like serve --model {NAME}" in pulled.stdout
    assert hub.fetched == [file]
    row = next(line for line in listed.stdout.splitlines() if line.strip().startswith(NAME))
    assert "not downloaded" not in row
    assert "downloaded" in row


def test_a_pull_without_network_says_so_in_three_lines(tmp_path: Path) -> None:
    with running_hub({}) as gone:
        pass
    failed = lemonade_like("pull", NAME, endpoint=gone.url, folder=tmp_path)
    assert failed.returncode == 1
    assert "cannot be reached" in failed.stderr
    assert len(failed.stderr.splitlines()) <= 3
