from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.models.aliases import Aliases
from lemonade_like.models.registry import Registry
from tests.support.models import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def registry(machine: Machine, **aliases: str) -> Registry:
    return machine.registry(model_aliases=aliases)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("gpt-4o", "a"),
        ("GPT-4o", "a"),
        ("claude-opus-4-8", "b"),
        ("claude-haiku-4-5-20251001", "c"),
        ("Claude-Sonnet-4-5", "b"),
        ("my-claude-x", None),
        ("gpt-4o-mini", None),
        ("a.b", "dots"),
        ("axb", None),
        ("[x]", "brackets"),
    ],
)
def test_an_alias_stands_for_a_name(asked: str, name: str | None) -> None:
    aliases = {"claude-haiku-*": "c", "claude-*": "b", "gpt-4O": "a", "a.b*": "dots", "[x]*": "brackets"}
    assert Aliases(aliases).target(asked) == name


def test_what_is_too_long_for_a_name_is_no_alias() -> None:
    aliases = Aliases({"*a*a*a*b": "any"})
    assert (aliases.target("a" * 200 + "b"), aliases.target("a" * 1_000_000)) == ("any", None)


def test_an_exact_alias_goes_before_one_with_a_star() -> None:
    aliases = Aliases({"*": "any", "x": "that"})
    assert [aliases.target(asked) for asked in ("x", "y")] == ["that", "any"]


def test_a_model_is_found_by_its_alias_wherever_a_name_is_read(machine: Machine) -> None:
    found = registry(machine, **{"openai/gpt-oss-20b": "tiny-gpt-oss", "claude-*": "TINY-gpt-oss"})
    for alias in ("openai/gpt-oss-20b", "claude-haiku-4-5", "CLAUDE-opus"):
        assert found.resolve(alias) == found.find(alias).name == found.to_pull(alias).name == "tiny-gpt-oss"
    assert [model.name for model in found.models()] == [model.name for model in registry(machine).models()]


def test_a_models_own_name_goes_before_a_star(machine: Machine) -> None:
    found = registry(machine, **{"*": "tiny-gpt-oss"})
    assert (found.resolve("gpt-oss-20b-GGUF"), found.resolve("anything")) == ("gpt-oss-20b-GGUF", "tiny-gpt-oss")


def test_an_alias_may_stand_for_a_model_of_the_hub(machine: Machine) -> None:
    assert registry(machine, mine="org/repo:q4_0").resolve("mine") == "org/repo:Q4_0"


def test_an_alias_for_nothing_is_refused_at_the_start(machine: Machine) -> None:
    with pytest.raises(ModelNotFound, match=r"'gpt-4o' in model_aliases stands for 'tiny-gpt'.\n.*tiny-gpt-oss"):
        registry(machine, **{"gpt-4o": "tiny-gpt"})


def test_an_alias_stands_for_no_other_alias(machine: Machine) -> None:
    with pytest.raises(ModelNotFound, match="'b' in model_aliases"):
        registry(machine, a="tiny-gpt-oss", b="a")


def test_an_alias_that_is_a_models_name_is_refused(machine: Machine) -> None:
    with pytest.raises(ServerError, match="is a model's own name"):
        registry(machine, **{"Tiny-gpt-oss": "gpt-oss-20b-GGUF"})
