from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from lemonade_like.engine.spec import parse_extra_args
from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.models import places
from lemonade_like.models.built_in import built_in_models
from lemonade_like.models.detection import is_gpt_oss
from lemonade_like.models.download import Checkpoint
from lemonade_like.models.model import LABELS, RegistryFile
from lemonade_like.models.registry import Registry
from tests.support.models import Machine, put_file

ROOT = Path(__file__).parents[2]

Make = Callable[..., Registry]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty machine."""
    return Machine(tmp_path)


@pytest.fixture
def make(machine: Machine) -> Make:
    """A registry of that machine, with the given settings."""
    return machine.registry


gguf = put_file


def put_into_hub_cache(hub_cache: Path, checkpoint: str, name: str) -> Path:
    return Machine(hub_cache.parent).cached(Checkpoint.parse(checkpoint).repo, name)[0]


def test_the_registry_file_and_its_schema_agree_with_the_code() -> None:
    schema = json.loads((ROOT / "server_models.schema.json").read_text(encoding="utf-8"))
    assert schema == RegistryFile.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((ROOT / "server_models.json").read_text(encoding="utf-8")), schema)
    assert RegistryFile.model_validate_json((ROOT / "server_models.json").read_bytes()).models


def test_nothing_is_claimed_of_a_download_that_was_never_tried() -> None:
    for entry in RegistryFile.model_validate_json((ROOT / "server_models.json").read_bytes()).models.values():
        assert entry.verified or entry.size is None


@pytest.mark.parametrize(
    "entry",
    [
        {"checkpoint": "no-repository"},
        {"checkpoint": "org/repo:Q4", "unknown": 1},
        {"checkpoint": "org/repo:Q4", "recipe": "magic"},
        {"labels": []},
        {"checkpoint": "../..:Q4"},
        {"checkpoint": "org/repo:../../secret.gguf"},
        {"checkpoint": "org/repo:Q4", "labels": ["invented"]},
        {"checkpoint": "org/repo:Q4", "mmproj": ""},
        {"checkpoint": "org/repo:Q4", "mmproj": "../mmproj.gguf"},
        {"checkpoint": "org/repo:Q4", "mmproj": "../..:mmproj.gguf"},
        {"checkpoint": "org/repo:Q4", "options": {"colour": "red"}},
        {"checkpoint": "org/repo:Q4", "options": {"llamacpp_args": "'"}},
        {"checkpoint": "org/repo:Q4", "options": {"llamacpp_backend": "abacus"}},
        {"checkpoint": "org/repo:Q4", "options": {"parallel": 0}},
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RegistryFile.model_validate({"models": {"x": entry}})


def test_the_registry_has_models_for_every_purpose_and_every_label_is_documented() -> None:
    labels = {label for model in built_in_models() for label in model.labels}
    assert labels == set(LABELS)
    documented = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert all(f"| `{label}` |" in documented for label in LABELS)
    assert any(model.mmproj for model in built_in_models())


def test_the_arguments_of_every_entry_can_be_passed_to_an_engine() -> None:
    for model in built_in_models():
        parse_extra_args(model.options.llamacpp_args or "")


def test_the_gpt_oss_models_and_the_bundled_one_are_known(make: Make) -> None:
    found = {model.name: model for model in make().models()}
    assert next(iter(found)) == "tiny-gpt-oss"
    for name in ("tiny-gpt-oss", "gpt-oss-20b-GGUF", "gpt-oss-120b-GGUF"):
        model = found[name]
        assert is_gpt_oss(model.name, model.checkpoint, model.labels)
    for name in ("gpt-oss-20b-GGUF", "gpt-oss-120b-GGUF"):
        assert {"hot", "reasoning", "tool-calling", "gpt-oss"} <= found[name].labels
    assert found["tiny-gpt-oss"].available
    assert not found["gpt-oss-20b-GGUF"].available


def test_no_two_built_in_models_differ_in_case_only() -> None:
    names = [model.name.casefold() for model in built_in_models()]
    assert len(names) == len(set(names))


def test_a_name_is_found_as_it_is_spelt_or_in_any_case(make: Make) -> None:
    assert make().find("gpt-oss-20b-GGUF").name == "gpt-oss-20b-GGUF"
    assert make().find("GPT-OSS-20B-gguf").name == "gpt-oss-20b-GGUF"


def test_an_unknown_name_is_refused_with_near_ones_and_how_to_get_a_model(make: Make) -> None:
    with pytest.raises(ModelNotFound) as error:
        make().find("gpt-oss-20")
    assert error.value.code == "model_not_found"
    assert error.value.param == "model"
    assert "Did you mean gpt-oss-20b-GGUF" in error.value.message
    assert "lemonade-like pull" in error.value.message
    with pytest.raises(ModelNotFound) as error:
        make().find("zzz")
    assert "Did you mean" not in error.value.message


def test_a_model_that_is_not_downloaded_says_how_to_get_it(make: Make) -> None:
    registry = make()
    model = registry.find("gpt-oss-20b-GGUF")
    assert model.path is None
    with pytest.raises(ModelNotFound, match="lemonade-like pull gpt-oss-20b-GGUF") as error:
        registry.locate(model)
    assert error.value.code == "model_not_downloaded"
    with pytest.raises(ModelNotFound, match="lemonade-like pull gpt-oss-20b-GGUF"):
        make(models=["gpt-oss-20b-GGUF"])


def test_a_model_is_there_as_soon_as_it_is_in_the_hubs_cache(make: Make, tmp_path: Path) -> None:
    registry = make()
    model = registry.find("gpt-oss-20b-GGUF")
    assert model.checkpoint is not None

    path = put_into_hub_cache(tmp_path / "hub", model.checkpoint, "gpt-oss-20b-mxfp4.gguf")

    assert registry.find(model.name).path == path
    assert registry.locate(model) == path
    assert [found.name for found in registry.models() if found.available] == ["tiny-gpt-oss", "gpt-oss-20b-GGUF"]
    assert make(models=["gpt-oss-20b-gguf"]).chosen == ("gpt-oss-20b-GGUF",)


def test_a_model_that_was_deleted_from_the_hubs_cache_counts_as_not_downloaded(make: Make, tmp_path: Path) -> None:
    registry = make()
    model = registry.find("gpt-oss-20b-GGUF")
    path = put_into_hub_cache(tmp_path / "hub", str(model.checkpoint), "gpt-oss-20b-MXFP4.gguf")
    assert registry.find(model.name).available
    path.unlink()
    assert not registry.find(model.name).available


def test_without_a_choice_the_bundled_model_is_chosen(make: Make) -> None:
    assert make().chosen == ("tiny-gpt-oss",)


def test_a_file_is_served_under_its_stem(make: Make, tmp_path: Path) -> None:
    path = gguf(tmp_path / "My Model.v2.gguf")
    registry = make(models=[str(path), "tiny-gpt-oss"])
    assert registry.chosen == ("My Model.v2", "tiny-gpt-oss")
    assert registry.find("my model.V2").path == path
    assert registry.locate(registry.find("My Model.v2")) == path


def test_the_same_file_given_twice_is_one_model(make: Make, tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf")
    assert make(models=[str(path), str(tmp_path / "." / "a.gguf")]).chosen == ("a",)


@pytest.mark.parametrize("taken", ["tiny-gpt-oss.gguf", "GPT-OSS-20B-GGUF.gguf"])
def test_a_file_with_the_name_of_a_known_model_is_refused(taken: str, make: Make, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="a built-in model"):
        make(models=[str(gguf(tmp_path / taken))])


def test_two_files_of_one_name_are_refused(make: Make, tmp_path: Path) -> None:
    first, second = gguf(tmp_path / "1" / "a.gguf"), gguf(tmp_path / "2" / "A.gguf")
    with pytest.raises(ServerError, match="Rename the file") as error:
        make(models=[str(first), str(second)])
    assert str(first) in error.value.message


def test_a_file_that_is_not_there_is_refused_at_the_start(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="does not exist"):
        make(models=[str(tmp_path / "missing.gguf")])
    with pytest.raises(ModelNotFound, match="has no complete model"):
        make(models=[str(tmp_path)])


def test_a_file_that_went_away_is_reported_as_gone(make: Make, tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf")
    registry = make(models=[str(path)])
    path.unlink()
    with pytest.raises(ModelNotFound, match="is gone"):
        registry.locate(registry.find("a"))


def test_a_model_has_the_harmony_override_of_the_settings(make: Make, tmp_path: Path) -> None:
    path = gguf(tmp_path / "a.gguf")
    registry = make(models=[str(path)], harmony_by_model={"a": "always", "tiny-gpt-oss": "never"})
    assert registry.find("a").harmony == "always"
    assert registry.find("tiny-gpt-oss").harmony == "never"
    assert registry.find("gpt-oss-20b-GGUF").harmony is None


def test_a_name_is_resolved_without_the_disk(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = make(models=[str(gguf(tmp_path / "a.gguf"))])

    def touched(*_: object, **__: object) -> None:
        raise AssertionError("the disk was touched")

    monkeypatch.setattr(Path, "stat", touched)
    monkeypatch.setattr(places, "find_in_cache", touched)
    assert registry.resolve("A") == "a"
    assert registry.resolve("gpt-oss-20b-gguf") == "gpt-oss-20b-GGUF"
    with pytest.raises(ModelNotFound):
        registry.resolve("nobody")
