from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lemonade_like.cli import main
from lemonade_like.configuration import sample_config
from lemonade_like.settings import Settings, flag, is_file_only
from tests.support.process_state import process_state_kept


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    monkeypatch.setenv("LEMONADE_LIKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


class Outcome:
    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        with process_state_kept(), pytest.raises(SystemExit) as ended:
            main(list(arguments))
        self.code = ended.value.code
        self.out, self.err = capsys.readouterr()


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_prints_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, *arguments)
    assert (outcome.code, outcome.out) == (0, f"lemonade-like {version('lemonade-like')}\n")


def test_config_prints_the_sample(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "config")
    assert (outcome.code, outcome.out) == (0, sample_config())


def test_help_of_serve_has_every_setting_with_its_description(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "serve", "--help")
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    for name, field in Settings.model_fields.items():
        if is_file_only(name):
            continue
        assert f"{flag(name)} " in text
        assert str(field.description) in text
    assert "--reasoning-level low|medium|high" in text
    assert "--no-harmony" in text
    assert "--config FILE" in text


def test_keys_hosts_and_origins_are_given_one_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr("lemonade_like.cli.serve.run_server", started.append)
    keys = ("--api-key", "one", "--api-key", "two,2", "--admin-key", "boss")
    places = ("--allowed-host", "a.example", "--allowed-host", "b.example", "--cors-origin", "https://c.example")
    assert Outcome(capsys, "serve", *keys, *places, "--insecure").code == 0
    (settings,) = started
    assert [key.get_secret_value() for key in settings.api_key] == ["one", "two,2"]
    assert [key.get_secret_value() for key in settings.admin_key] == ["boss"]
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.cors_origins == ("https://c.example",)
    assert settings.insecure


def test_models_lists_what_is_known_and_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "models")
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.split()}
    assert "bundled" in rows["tiny-gpt-oss"]
    assert "gpt-oss, hot, reasoning, tool-calling" in rows["gpt-oss-20b-GGUF"]
    assert "lemonade-like pull NAME" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["serve", "--port", "abc"], 2, "'abc' is no value for --port"),
        (["serve", "--nonsense"], 2, "--nonsense"),
        (["serve", "--llamacpp-args", "--port 9"], 2, "may not contain --port"),
        (["serve", "--llamacpp-args", "'"], 2, "--llamacpp-args"),
        (["serve", "--config", "/no/such/file.yaml"], 2, "no configuration file"),
        (["serve", "--model", "/no/such/file.gguf"], 1, "does not exist"),
        (["serve", "--model", "no-such-model"], 1, "no model called 'no-such-model'"),
        (["serve", "--llama-server", "/no/such/llama-server"], 1, "/no/such/llama-server"),
        (["pull", "no-such-model"], 1, "no model called 'no-such-model'"),
        (["pull"], 2, "NAME"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_what_is_wrong_is_said_in_three_lines_without_a_traceback(
    arguments: list[str], code: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(capsys, *arguments)
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.startswith("Error: ")
    assert part in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) <= 3


def test_the_bundled_model_needs_no_pull(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "pull", "tiny-gpt-oss")
    assert outcome.code == 0
    assert "nothing to download" in outcome.out


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lemonade_like", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lemonade-like ")
