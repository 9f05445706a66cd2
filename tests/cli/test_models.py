"""``lemonade-like models``, ``register`` and ``forget``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from lemonade_like.cli import main
from tests.support.ggufs import write_gguf
from tests.support.models import Machine
from tests.support.process_state import process_state_kept


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LEMONADE_LIKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(machine.hub_cache))
    return machine


@pytest.fixture
def run(machine: Machine, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What the command prints, to standard error if it fails."""
        with process_state_kept(), pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self._capsys.readouterr()
        assert ended.value.code == code, err
        return out if code == 0 else err


def test_models_shows_what_is_here_with_its_size_context_and_labels(run: Run, machine: Machine) -> None:
    (path,) = machine.cached("org/repo", "m-Q4_K_M.gguf")
    write_gguf(path, "qwen3", template="{{ tools }}", context_length=40_960)
    with path.open("r+b") as file:
        file.truncate(2_500_000_000)
    write_gguf(machine.folder / "mine.gguf")
    run("register", "mine", str(machine.folder / "mine.gguf"))

    rows = {line.split()[0]: " ".join(line.split()) for line in run("models").splitlines() if line.split()}

    assert rows["org/repo:Q4_K_M"] == "org/repo:Q4_K_M downloaded 2.5 GB 40,960 tool-calling org/repo:Q4_K_M"
    assert rows["gpt-oss-20b-GGUF"].startswith("gpt-oss-20b-GGUF not downloaded gpt-oss, hot, reasoning")
    assert rows["user.mine"] == f"user.mine local file 0 MB {machine.folder / 'mine.gguf'}"


def test_models_as_json_has_what_the_api_has(run: Run, machine: Machine) -> None:
    (path,) = machine.cached("org/repo", "m-Q4_K_M.gguf")
    write_gguf(path, "qwen3", context_length=40_960)
    told = {model["id"]: model for model in json.loads(run("models", "--json"))}
    assert told["org/repo:Q4_K_M"]["context_length"] == 40_960
    assert told["gpt-oss-20b-GGUF"]["downloaded"] is False
    registry = machine.registry()
    assert told == {model.name: registry.describe(model).as_json() for model in registry.models()}


def test_a_model_of_the_hub_is_registered_and_forgotten(run: Run, machine: Machine) -> None:
    said = run(
        "register",
        "mine",
        "hf.co/org/repo:q4_0",
        "--label",
        "vision",
        "--mmproj",
        "mmproj-F16.gguf",
        "--ctx-size",
        "99",
    )
    assert said.splitlines() == ["user.mine is org/repo:Q4_0.", "Download it: lemonade-like pull user.mine"]
    model = machine.registry().find("user.mine")
    assert (model.labels, model.mmproj, model.options.ctx_size) == ({"vision"}, "mmproj-F16.gguf", 99)
    assert run("forget", "USER.mine") == "user.mine is forgotten.\n"
    assert "user.mine" not in run("models")


def test_a_file_is_registered_where_it_is(run: Run, machine: Machine) -> None:
    path = write_gguf(machine.folder / "m.gguf")
    projector = write_gguf(machine.folder / "mmproj-m.gguf", "clip")
    said = run("register", "file", str(path), "--label", "coding")
    assert "Serve it: lemonade-like serve --model user.file" in said
    model = machine.registry(models=["user.file"]).find("user.file")
    assert (model.path, model.mmproj_path, model.labels) == (path, projector, {"coding"})
    assert str(path) in run("forget", "user.file")
    assert path.is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["register", "a b", "org/repo:Q4_0"], 1, "user.NAME"),
        (["register", "a", "repo"], 2, "neither a file nor a model"),
        (["register", "a", "/no/such.gguf"], 1, "does not exist"),
        (["register", "a", "org/repo:Q4_0", "--label", "invented"], 2, "tool-calling"),
        (["register", "a", "org/repo:Q4_0", "--ctx-size", "-1"], 2, "--ctx-size"),
        (["register", "a", "org/repo:Q4_0", "--llamacpp-args", "--port 1"], 1, "--port"),
        (["register", "a", "org/repo:Q4_0", "--mmproj", "no file"], 2, "--mmproj"),
        (["register", "a"], 2, "CHECKPOINT|FILE"),
        (["forget", "tiny-gpt-oss"], 1, "stays known"),
        (["forget", "user.nobody"], 1, "no model called"),
    ],
)
def test_what_cannot_be_is_said_in_three_lines(arguments: list[str], code: int, part: str, run: Run) -> None:
    said = run(*arguments, code=code)
    assert part in said
    assert len(said.splitlines()) <= 3


def test_a_file_that_is_no_model_is_refused(run: Run, machine: Machine) -> None:
    (machine.folder / "bad.gguf").write_bytes(b"#!/bin/sh")
    assert "is not a GGUF file" in run("register", "bad", str(machine.folder / "bad.gguf"), code=1)
    assert "does not exist" in run("register", "bad", str(machine.folder), code=1)


def test_a_damaged_store_is_an_error_of_every_command(run: Run, machine: Machine) -> None:
    (machine.folder / "data").mkdir()
    (machine.folder / "data" / "user_models.json").write_text("{")
    assert "move it away" in run("models", code=1)
