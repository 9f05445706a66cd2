"""docs/recording.md tells what is so: it has every field and setting, and its commands run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lemonade_like.settings.recording import Recording
from lemonade_like.turns.recorded import schema
from tests.support.record import line

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "recording.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ ((?:jq|lemonade-like replay) .*)$", PAGE, re.MULTILINE)
ANSWER = "<|channel|>analysis<|message|>Two.<|end|><|start|>assistant<|channel|>final<|message|>4.<|return|>"


def test_the_table_has_every_field_of_a_line() -> None:
    nested = (schema.RecordedModel, schema.RecordedEngine, schema.RecordedOutput, schema.RecordedError)
    names = [field.alias or name for name, field in schema.Record.model_fields.items()]
    names += [name for part in (*nested, schema.RecordedPrompt, schema.RecordedSystem) for name in part.model_fields]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_page_has_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(record_\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(Recording.model_fields)
    for name, field in Recording.model_fields.items():
        assert field.default is None or f"({field.default})" in rows[name]


def test_the_page_has_every_option_of_replay() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "lemonade_like", "replay", "--help"], capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"--[a-z-]+", told.stdout)) - {"--help", "--config"}
    assert {option for option in options if option not in PAGE} == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_run(
    command: str, tmp_path: Path, encoder: HarmonyEncoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    bad = "<|channel|>analysis<|message|>Two.<|start|>assistant<|channel|>final<|message|>4.<|return|>"
    error = {"type": "server_error", "message": "It died.", "code": "engine_failure", "param": None}
    failed = line(ANSWER, encoder, outcome="failed", error=error)
    (tmp_path / "turns.jsonl").write_bytes(failed + line(ANSWER, encoder) + line(bad, encoder))
    words = shlex.split(command)
    if words[0] == "jq" and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    if words[0] != "jq":
        # The engine is another test's: here the parser is enough.
        words = [sys.executable, "-m", "lemonade_like", *words[1:]]
        words += [] if {"--list", "--parse-only"} & set(words) else ["--parse-only"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
