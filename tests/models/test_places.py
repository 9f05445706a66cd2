"""What a name finds on this machine: in the Hub's cache, in folders, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.models.model import ModelEntry
from tests.support.models import Machine, put_file

SHARDS = ("big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["org/repo:Q4_K_M", "org/repo:q4_k_m", "hf.co/org/repo:Q4_K_M", "https://huggingface.co/org/repo:q4_k_m"],
)
def test_a_model_in_the_cache_is_used_in_place_by_its_checkpoint_however_written(name: str, machine: Machine) -> None:
    (path,) = machine.cached("org/repo", "m-Q4_K_M.gguf")
    registry = machine.registry()
    model = registry.find(name)
    assert (model.name, model.path, model.source) == ("org/repo:Q4_K_M", path, "hub")
    assert registry.resolve(name) == "org/repo:Q4_K_M"
    assert registry.locate(model) == path
    assert machine.registry(models=[name]).chosen == ("org/repo:Q4_K_M",)


def test_a_repository_alone_means_its_one_model(machine: Machine) -> None:
    (path, _) = machine.cached("org/repo", "m-Q4_K_M.gguf", "mmproj-F16.gguf")
    assert machine.registry().find("org/repo").path == path


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("org/repo", ["org/repo:Q4_K_M", "org/repo:Q8_0"]),
        ("org/two:Q4_0", ["org/two:a-Q4_0.gguf", "org/two:b-Q4_0.gguf"]),
    ],
)
def test_an_ambiguous_name_is_an_error_that_lists_the_choices(name: str, choices: list[str], machine: Machine) -> None:
    machine.cached("org/repo", "m-Q4_K_M.gguf", *SHARDS)
    machine.cached("org/two", "a-Q4_0.gguf", "b-Q4_0.gguf", "a-Q8_0.gguf")
    registry = machine.registry()
    with pytest.raises(ModelNotFound, match=r"Name one of them") as error:
        registry.locate(registry.find(name))
    assert error.value.code == "ambiguous_model"
    assert f": {', '.join(choices)}." in error.value.message
    for choice in choices:
        assert registry.locate(registry.find(choice)).is_file()


def test_a_checkpoint_that_is_not_here_says_how_to_get_it(machine: Machine) -> None:
    registry = machine.registry()
    model = registry.to_pull("hf.co/org/new:q4_0")
    assert (model.name, model.checkpoint, model.path) == ("org/new:Q4_0", "org/new:Q4_0", None)
    with pytest.raises(ModelNotFound, match="lemonade-like pull org/new:Q4_0") as error:
        registry.locate(model)
    assert error.value.code == "model_not_downloaded"


def test_the_checkpoint_of_a_known_model_is_that_model(machine: Machine) -> None:
    registry = machine.registry()
    assert registry.resolve("ggml-org/gpt-oss-20b-gguf:mxfp4") == "gpt-oss-20b-GGUF"
    registry.register("mine", ModelEntry(checkpoint="org/repo:Q4_K_M"))
    assert registry.resolve("hf.co/org/repo:q4_k_m") == "user.mine"


@pytest.mark.parametrize(
    "name", ["org/one", "org/one:m-Q8_0-00002-of-00002.gguf", "hf.co/org/one:big/m-Q8_0-00001-of-00002.gguf"]
)
def test_a_model_that_is_here_has_one_name_by_all_its_checkpoints(name: str, machine: Machine) -> None:
    (path, _) = machine.cached("org/one", *SHARDS)
    registry = machine.registry()
    assert registry.resolve(name) == "org/one:Q8_0"
    assert registry.find(name).path == path
    registry.register("mine", ModelEntry(checkpoint="org/one:Q8_0"))
    assert registry.resolve(name) == "user.mine"


def test_what_is_to_be_pulled_is_taken_as_it_was_written(machine: Machine) -> None:
    # What is the only Q4_0 here need not be that on the Hub.
    machine.cached("org/two", "a-Q4_0.gguf")
    registry = machine.registry()
    assert registry.find("org/two:a-Q4_0.gguf").name == "org/two:Q4_0"
    assert registry.to_pull("org/two:a-Q4_0.gguf").checkpoint == "org/two:a-Q4_0.gguf"


def test_a_repository_means_the_model_that_is_left_of_it(machine: Machine) -> None:
    (first,) = machine.cached("org/one", "m-Q4_0.gguf")
    registry = machine.registry()
    assert registry.find("org/one").path == first
    first.unlink()
    assert registry.find("org/one").path is None
    (second,) = machine.cached("org/one", "m-Q8_0.gguf")
    assert registry.find("org/one").path == second


def test_what_nobody_registered_is_listed_once_and_last(machine: Machine) -> None:
    machine.cached("org/repo", "m-Q4_K_M.gguf", *SHARDS, "mmproj-m.gguf", "half-Q2_K-00001-of-00002.gguf")
    machine.cached("org/repo", "m-Q4_K_M.gguf", revision="older")
    machine.cached("ggml-org/gpt-oss-20b-GGUF", "gpt-oss-20b-mxfp4.gguf")
    machine.cached("org/no-model", "README.md")
    (machine.hub_cache / "datasets--org--data").mkdir()

    models = machine.registry().models()

    assert [model.name for model in models if model.source == "hub"] == ["org/repo:Q4_K_M", "org/repo:Q8_0"]
    assert [model.name for model in models].index("org/repo:Q4_K_M") == len(models) - 2
    assert all(model.available for model in models[-2:])
    assert [model.name for model in models if model.name == "gpt-oss-20b-GGUF" and model.available]


def test_a_model_in_the_cache_has_the_projector_that_lies_beside_it(machine: Machine) -> None:
    machine.cached("org/vl", "m-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf")
    registry = machine.registry()
    found = registry.find("org/vl:Q4_K_M")
    assert found.mmproj_path is not None
    assert found.mmproj_path.name == "mmproj-F16.gguf"
    registry.register("named", ModelEntry(checkpoint="org/vl:Q4_K_M", mmproj="mmproj-BF16.gguf"))
    named = registry.find("user.named").mmproj_path
    assert named is not None
    assert named.name == "mmproj-BF16.gguf"
    (other,) = machine.cached("org/eyes", "eyes.gguf")
    registry.register("other", ModelEntry(checkpoint="org/vl:Q4_K_M", mmproj="org/eyes:eyes.gguf"))
    assert registry.find("user.other").mmproj_path == other


def test_a_model_that_sees_has_the_projector_that_was_pulled_with_it(machine: Machine) -> None:
    (_, _, projector) = machine.cached("org/vl", "m-Q4_0.gguf", "n-Q4_0.gguf", "mmproj-F16.gguf")
    registry = machine.registry()
    registry.register("seeing", ModelEntry(checkpoint="org/vl:m-Q4_0.gguf", labels=("vision",)))
    assert registry.find("user.seeing").mmproj_path == projector
    assert registry.find("org/vl:n-Q4_0.gguf").mmproj_path is None


def test_a_projector_that_comes_later_is_seen(machine: Machine) -> None:
    machine.cached("org/vl", "m-Q4_K_M.gguf")
    registry = machine.registry()
    registry.register("seeing", ModelEntry(checkpoint="org/vl:Q4_K_M", labels=("vision",)))
    assert registry.find("user.seeing").mmproj_path is None
    (projector,) = machine.cached("org/vl", "mmproj-F16.gguf")
    assert registry.find("user.seeing").mmproj_path == projector


def test_after_a_pull_or_a_deletion_the_disk_is_looked_at_again(machine: Machine) -> None:
    (old,) = machine.cached("org/repo", "m-Q4_0.gguf", revision="1")
    registry = machine.registry()
    assert registry.find("org/repo:Q4_0").path == old
    (new,) = machine.cached("org/repo", "m-Q4_0.gguf", revision="2")
    (machine.hub_cache / "models--org--repo" / "refs").mkdir()
    (machine.hub_cache / "models--org--repo" / "refs" / "main").write_text("2")
    assert registry.find("org/repo:Q4_0").path == old
    registry.changed("org/repo:Q4_0")
    assert registry.find("org/repo:Q4_0").path == new


def test_a_folder_gives_each_of_its_models_under_its_stem(machine: Machine) -> None:
    folder = machine.folder / "my models"
    first, plain, projector = (put_file(folder / name) for name in (SHARDS[0], "see/a.gguf", "see/mmproj-a.gguf"))
    put_file(folder / SHARDS[1])
    put_file(folder / "half-00001-of-00002.gguf")

    registry = machine.registry(models=[str(folder)])

    assert registry.chosen == ("m-Q8_0", "a")
    assert registry.find("M-Q8_0").path == first
    assert (registry.find("a").path, registry.find("a").mmproj_path) == (plain, projector)
    assert registry.find("a").source == "local"


def test_a_folder_without_a_model_or_with_two_of_one_name_is_refused(machine: Machine) -> None:
    (machine.folder / "empty").mkdir()
    with pytest.raises(ModelNotFound, match="has no complete model"):
        machine.registry(models=[str(machine.folder / "empty")])
    for name in ("one/a.gguf", "two/A.gguf"):
        put_file(machine.folder / "many" / name)
    with pytest.raises(ServerError, match="Rename a file") as error:
        machine.registry(models=[str(machine.folder / "many")])
    assert len(error.value.message.splitlines()) <= 3


def test_any_shard_stands_for_all_and_a_missing_one_is_noticed(machine: Machine) -> None:
    first, second = (put_file(machine.folder / name) for name in SHARDS)
    registry = machine.registry(models=[str(second)])
    assert registry.chosen == ("m-Q8_0",)
    assert registry.locate(registry.find("m-Q8_0")) == first
    second.unlink()
    with pytest.raises(ModelNotFound, match="shard 2 of 2 is missing"):
        machine.registry(models=[str(first)])


def test_a_local_file_may_not_look_like_a_registered_model(machine: Machine) -> None:
    path = put_file(machine.folder / "user.mine.gguf")
    with pytest.raises(ServerError, match="Rename the file"):
        machine.registry(models=[str(path)])


def test_a_relative_path_that_looks_like_a_checkpoint_is_a_path_if_it_is_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(machine.folder)
    put_file(machine.folder / "org" / "repo" / "a.gguf")
    assert machine.registry(models=["org/repo"]).chosen == ("a",)
    assert machine.registry(models=["org/repo/a.gguf"]).chosen == ("a",)


HOSTILE = [
    "/{secret}",
    "{secret}",
    "../{name}",
    "../../{name}",
    "org/..:{name}",
    "org/repo:../../../{name}",
    "./{name}",
]


@pytest.mark.parametrize("form", [*HOSTILE, "org/repo:{secret}", "file://{secret}", "hf.co/{secret}", "~/{name}"])
def test_a_client_cannot_name_a_file(form: str, machine: Machine) -> None:
    secret = put_file(machine.folder / "secret.gguf")
    machine.cached("org/repo", "m-Q4_0.gguf")
    registry = machine.registry()
    with pytest.raises(ModelNotFound):
        registry.locate(registry.find(form.format(secret=secret, name=secret.name)))


@given(st.lists(st.sampled_from(["..", ".", "/", "org", "repo", ":", "secret.gguf", "hf.co/", "user.", "\\", "~"])))
def test_no_name_opens_a_file_outside_the_cache(tmp_path: Path, parts: list[str]) -> None:
    machine = Machine(tmp_path)
    put_file(tmp_path / "secret.gguf")
    put_file(tmp_path / "hub" / "secret.gguf")
    (inside,) = machine.cached("org/repo", "m-Q4_0.gguf")
    registry = machine.registry()
    try:
        path = registry.locate(registry.find("".join(parts)))
    except ModelNotFound:
        return
    assert path == inside
