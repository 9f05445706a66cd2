from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lemonade_like.errors import BadRequest, ModelNotFound
from lemonade_like.models.model import FileEntry, ModelEntry, ModelOptions
from lemonade_like.models.user_models import FILE_NAME, Saved, UserModels, UserModelsError
from tests.support.models import Machine, put_file

ENTRY = ModelEntry(checkpoint="org/repo:Q4_K_M", labels=("coding",), options=ModelOptions(ctx_size=4096))

REGISTER_MANY = """
import sys
from pathlib import Path
from lemonade_like.models.registry import ModelEntry, Registry
from lemonade_like.settings import Settings
folder, who = Path(sys.argv[1]), sys.argv[2]
registry = Registry.from_settings(Settings(cache_dir=folder / "cache", data_dir=folder / "data"), folder / "hub")
for number in range(10):
    registry.register(f"{who}-{number}", ModelEntry(checkpoint=f"org/{who}:Q4_{number}"))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_registered_model_outlives_the_process(machine: Machine) -> None:
    model = machine.registry().register("Mine", ENTRY)
    assert (model.name, model.checkpoint, model.source, model.labels) == (
        "user.Mine",
        "org/repo:Q4_K_M",
        "user",
        {"coding"},
    )

    again = machine.registry()

    assert again.find("USER.mine") == model
    assert again.to_pull("user.Mine").checkpoint == "org/repo:Q4_K_M"
    assert again.find("user.Mine").options.ctx_size == 4096


def test_a_name_that_is_registered_again_is_replaced_in_whatever_case(machine: Machine) -> None:
    registry = machine.registry()
    registry.register("mine", ENTRY)
    registry.register("user.Mine", ModelEntry(checkpoint="org/other:Q8_0"))
    assert [model.name for model in registry.models() if model.source == "user"] == ["user.Mine"]
    assert registry.find("user.mine").checkpoint == "org/other:Q8_0"


def test_a_server_sees_at_once_what_another_process_registers_and_forgets(machine: Machine) -> None:
    server, other = machine.registry(), machine.registry()

    other.register("mine", ENTRY)
    assert server.resolve("user.mine") == "user.mine"
    other.save_options("user.mine", ModelOptions(ctx_size=1024))
    assert server.find("user.mine").options.ctx_size == 1024
    other.forget("user.mine")
    with pytest.raises(ModelNotFound):
        server.find("user.mine")
    assert "user.mine" not in [model.name for model in server.models()]


def test_what_several_processes_register_at_once_is_all_kept(machine: Machine) -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", REGISTER_MANY, str(machine.folder), who]) for who in ("one", "two")
    ]
    registry = machine.registry()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: registry.register(f"here-{number}", ENTRY), range(10)))
    assert [other.wait(60) for other in others] == [0, 0]

    names = {model.name for model in machine.registry().models() if model.source == "user"}

    assert names == {f"user.{who}-{number}" for who in ("one", "two", "here") for number in range(10)}
    assert not [path for path in (machine.folder / "data").iterdir() if path.name.startswith(f".{FILE_NAME}")]


@pytest.mark.parametrize("name", ["", "user.", "a/b", "../x", "user.a b", "x" * 200])
def test_a_name_that_cannot_be_is_refused(name: str, machine: Machine) -> None:
    with pytest.raises(BadRequest) as error:
        machine.registry().register(name, ENTRY)
    assert error.value.param == "model_name"
    assert not (machine.folder / "data" / FILE_NAME).exists()


def test_forgetting_drops_the_options_too_and_concerns_the_users_models_only(machine: Machine) -> None:
    registry = machine.registry()
    registry.register("mine", ENTRY)
    registry.save_options("user.mine", ModelOptions(parallel=2))
    registry.forget("user.MINE")
    registry.register("mine", ENTRY)
    assert registry.find("user.mine").options == ENTRY.options
    with pytest.raises(BadRequest, match="stays known"):
        registry.forget("tiny-gpt-oss")
    with pytest.raises(ModelNotFound):
        registry.forget("user.nobody")


@pytest.mark.parametrize("name", ["gpt-oss-20b-gguf", "tiny-gpt-oss", "org/any:Q4_0", "user.mine"])
def test_options_are_saved_for_any_model_and_replaced_as_a_whole(name: str, machine: Machine) -> None:
    registry = machine.registry()
    registry.register("mine", ModelEntry(checkpoint="org/repo:Q4_K_M"))
    registry.save_options(name, ModelOptions(ctx_size=8192, pinned=True, llamacpp_backend="vulkan"))
    assert machine.registry().find(name).options == ModelOptions(ctx_size=8192, pinned=True, llamacpp_backend="vulkan")
    registry.save_options(name, ModelOptions(llamacpp_args="--threads 2"))
    assert machine.registry().find(name).options == ModelOptions(llamacpp_args="--threads 2")
    registry.save_options(name, ModelOptions())
    assert machine.registry().find(name).options == ModelOptions()


def test_saved_options_go_before_those_of_the_entry_one_by_one(machine: Machine) -> None:
    registry = machine.registry()
    registry.register("mine", ModelEntry(checkpoint="org/repo:Q4_0", options=ModelOptions(llamacpp_args="--threads 2")))
    registry.save_options("user.mine", ModelOptions(ctx_size=512))
    found = registry.find("user.mine").options
    assert (found.ctx_size, found.llamacpp_args) == (512, "--threads 2")


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        '{"models": {"user.a": {}}}',
        '{"models": {"tiny-gpt-oss": {"checkpoint": "org/repo:Q4"}}}',
        '{"models": {"user.a": {"checkpoint": "../../x"}}}',
    ],
)
def test_a_damaged_file_is_an_error_and_never_emptied(damage: str, machine: Machine) -> None:
    registry = machine.registry()
    registry.register("mine", ENTRY)
    path = machine.folder / "data" / FILE_NAME
    path.write_text(damage)

    with pytest.raises(UserModelsError, match="move it away") as error:
        machine.registry()
    assert str(path) in error.value.message
    assert len(error.value.message.splitlines()) <= 3
    with pytest.raises(UserModelsError):
        registry.register("other", ENTRY)
    with pytest.raises(UserModelsError):
        registry.save_options("tiny-gpt-oss", ModelOptions(parallel=1))
    assert path.read_text() == damage


def test_a_server_goes_on_with_what_it_knows_when_the_file_is_damaged_meanwhile(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    registry = machine.registry()
    registry.register("mine", ENTRY)
    (machine.folder / "data" / FILE_NAME).write_text("{")
    with caplog.at_level(logging.ERROR):
        assert registry.find("user.mine").checkpoint == "org/repo:Q4_K_M"
        assert registry.find("user.mine")
    assert len(caplog.records) == 1
    machine.folder.joinpath("data", FILE_NAME).unlink()
    with pytest.raises(ModelNotFound):
        registry.find("user.mine")


def test_a_folder_that_cannot_be_written_to_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    users = UserModels(tmp_path / "free")
    users.update(lambda saved: saved)
    with pytest.raises(UserModelsError, match="LEMONADE_LIKE_DATA_DIR"):
        UserModels(tmp_path / "taken").update(lambda saved: saved)
    assert UserModels(tmp_path / "free").saved == Saved()


def test_a_change_that_fails_half_way_changes_nothing(machine: Machine) -> None:
    users = UserModels(machine.folder)
    users.update(lambda _: Saved(models={"user.a": ENTRY}))

    def fail(_: Saved) -> Saved:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        users.update(fail)
    assert UserModels(machine.folder).saved.models == users.saved.models == {"user.a": ENTRY}


def test_a_file_of_the_users_own_can_have_a_name(machine: Machine) -> None:
    path = put_file(machine.folder / "somewhere" / "x.gguf")
    machine.registry().register("file", FileEntry(path=path, labels=("gpt-oss",)))
    registry = machine.registry()
    model = registry.find("user.file")
    assert (model.path, model.source, model.checkpoint) == (path, "user", None)
    assert registry.locate(model) == path
    path.unlink()
    assert not [each for each in registry.models() if each.name == "user.file" and each.available]
    with pytest.raises(ModelNotFound, match="is gone"):
        registry.locate(registry.find("user.file"))
