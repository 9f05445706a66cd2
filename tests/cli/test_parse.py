"""``lemonade-like parse`` shows what the model wrote, by its channels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_commands import Outcome
from tests.support.completions import parts_of

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

WRITTEN = (
    "<|channel|>analysis<|message|>[bold]They ask for the weather.<|end|>"
    "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{}<|call|>"
)


@pytest.fixture(autouse=True)
def users_machine(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    monkeypatch.setenv("LEMONADE_LIKE_CACHE_DIR", str(cache_dir))


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "written.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_text_is_shown_message_by_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "parse", _file(tmp_path, WRITTEN + "\n"))

    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["assistant", "analysis", *["[bold]They", "ask", "for", "the", "weather."], "<|end|>"] in rows
    assert ["assistant", "commentary", "functions.get_weather", "{}", "<|call|>"] in rows
    assert ["Well-formed."] in rows


def test_ids_are_read_too_and_their_tokens_counted(
    encoder: HarmonyEncoding, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [one for part in parts_of(WRITTEN) for one in ([part] if isinstance(part, int) else encoder.encode(part))]
    file = _file(tmp_path, json.dumps(ids))

    from_ids = json.loads(Outcome(capsys, "parse", "--json", file).out)
    from_text = json.loads(Outcome(capsys, "parse", "--json", _file(tmp_path, WRITTEN)).out)

    assert from_ids["messages"] == from_text["messages"]
    assert sum(from_ids["metadata"]["tokens"].values()) == len(ids)
    assert from_text["metadata"]["tokens"] is None
    assert f"{len(ids)} tokens: " in Outcome(capsys, "parse", _file(tmp_path, json.dumps(ids))).out


def test_json_has_every_field(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WRITTEN.encode())))

    parsed = json.loads(Outcome(capsys, "parse", "--json").out)

    assert parsed["analysis"] == "[bold]They ask for the weather."
    assert parsed["tool_calls"] == [{"name": "get_weather", "arguments": "{}"}]
    assert (parsed["final"], parsed["commentary"], parsed["problems"]) == ("", "", [])
    assert list(parsed["channels"]) == ["analysis", "commentary"]
    assert parsed["metadata"]["end"] == "<|call|>"


def test_what_is_malformed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "parse", _file(tmp_path, "<|channel|>final<|message|>4<|call|>"))

    assert outcome.code == 0
    assert "at 28: a message in final ends with <|call|>" in outcome.out


@pytest.mark.parametrize("text", ["[1, 2", "[citation]", "[]", "[1.5]", "[true]"])
def test_what_only_begins_like_a_list_of_ids_is_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert json.loads(Outcome(capsys, "parse", "--json", _file(tmp_path, text)).out)["final"] == text


def test_a_number_that_is_no_id_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "parse", _file(tmp_path, "[5, 999999]"))

    assert (outcome.code, outcome.out) == (1, "")
    assert "999999 is no id of o200k_harmony" in outcome.err
