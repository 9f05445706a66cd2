"""docs/models.md shows what the code does: its names, its entry, its commands and its fields."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.api.openai.models import model_object
from lemonade_like.models.describe import describe
from lemonade_like.models.model import Model, ModelEntry, ModelOptions
from lemonade_like.models.names import is_path, read_checkpoint
from lemonade_like.models.registry import Registry
from lemonade_like.models.variants import Variant
from tests.support.models import Machine

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def first_column(text: str) -> set[str]:
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_entry_that_is_shown_is_valid_and_every_field_is_described() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    ((name, entry),) = json.loads(f"{{{shown[1]}}}").items()
    assert ModelEntry.model_validate(entry)
    assert re.fullmatch(r"[\w.-]+", name)
    fields = first_column(section("The registry"))
    assert set(ModelEntry.model_fields) <= fields


def test_every_option_and_every_field_of_a_listing_is_described() -> None:
    assert first_column(section("Options of a model")) == set(ModelOptions.model_fields)
    assert first_column(section("What is listed")) == set(describe(Model("m"), None).as_json())


def test_the_answers_that_are_shown_have_the_fields_that_are_sent() -> None:
    shown: list[dict[str, Any]] = [json.loads(each) for each in re.findall(r"```json\n(\{.*?)```", PAGE, re.DOTALL)]
    described, variants, deleted = shown
    assert set(described) == set(model_object(describe(Model("m"), None), 0))
    assert set(variants["variants"][0]) == set(Variant("Q4_0", ("m.gguf",), 1, downloaded=False).as_json())
    assert {"bytes_freed", "kept_files"} <= set(deleted)


@pytest.mark.parametrize("name", ["org/repo:QUANT", "org/repo:file.gguf", "org/repo", "hf.co/org/repo:QUANT"])
def test_every_way_to_write_a_checkpoint_is_read(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert read_checkpoint(name)
    assert not is_path(name)


def test_the_two_names_that_are_called_one_are_one(tmp_path: Path) -> None:
    registry: Registry = Machine(tmp_path).registry()
    found = re.search(r"`(\S+)` and\n`(\S+)` share an engine", PAGE)
    assert found
    assert registry.resolve(found[1]) == registry.resolve(found[2])
