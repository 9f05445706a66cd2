"""No name leads out of the folders in which models are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given

from lemonade_like.errors import BadRequest, ModelNotFound
from lemonade_like.models.hub_cache import CachedRepository
from lemonade_like.models.names import read_checkpoint, user_name
from lemonade_like.models.registry import ModelEntry, Registry
from tests.support.evil_names import COMMON, SECRET, evil_names, spelt
from tests.support.models import Machine, put_file


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.cached("org/repo", "m-Q4_0.gguf", "sub/n-Q8_0.gguf")
    put_file(tmp_path / SECRET)
    put_file(machine.hub_cache / SECRET)
    put_file(machine.hub_cache / "models--org--repo" / SECRET)
    return machine


def snapshot(machine: Machine) -> Path:
    return machine.hub_cache / "models--org--repo" / "snapshots" / "abc"


def check(registry: Registry, machine: Machine, name: str) -> None:
    for look_up in (registry.find, registry.to_pull):
        try:
            model = look_up(name)
        except ModelNotFound as error:
            assert len(error.message) < 1000
            continue
        file = registry.file_of(model)
        assert file is None or model.bundled or file.is_relative_to(snapshot(machine))
        assert file is None or ".." not in file.parts


@pytest.mark.parametrize("name", COMMON, ids=lambda name: name[:40])
def test_what_everybody_tries_first_finds_nothing(name: str, machine: Machine) -> None:
    registry = machine.registry()
    name = spelt(name, machine.folder / SECRET)
    with pytest.raises(ModelNotFound):
        registry.locate(registry.find(name))
    check(registry, machine, name)


@given(name=evil_names)
@example(name="org/repo:Q4_0")
@example(name="org/repo:sub/n-Q8_0.gguf")
def test_whatever_is_found_lies_where_models_are_kept(name: str, machine: Machine) -> None:
    check(machine.registry(), machine, spelt(name, machine.folder / SECRET))


@given(name=evil_names)
def test_a_checkpoint_is_one_folder_of_the_cache_and_a_file_below_it(name: str) -> None:
    checkpoint = read_checkpoint(name)
    if checkpoint is None:
        return
    repo, _, file = checkpoint.partition(":")
    folder = CachedRepository(Path("/hub"), repo).folder
    assert folder.parent == Path("/hub")
    assert folder.name.startswith("models--")
    assert not {"..", "."} & set(file.split("/"))
    assert not file.startswith(("/", "\\"))
    assert checkpoint.isprintable()


@given(name=evil_names)
def test_a_name_that_can_be_given_is_one_word(name: str) -> None:
    given_name = user_name(name)
    assert given_name is None or not set(given_name) & set("/\\:\0\n ")


@given(name=evil_names)
def test_nothing_is_registered_under_a_name_that_is_a_path(name: str, machine: Machine) -> None:
    registry = machine.registry()
    try:
        model = registry.register(name, ModelEntry(checkpoint="org/repo:Q4_0"))
    except BadRequest:
        return
    assert model.name.startswith("user.")
    assert not set(model.name) & set("/\\:\0")
    registry.forget(model.name)
