"""Arguments are checked before a tool sees them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from jsonschema.exceptions import ValidationError

from lemonade_like.tools.arguments import MAX_BYTES, ArgumentCheck, parsed_arguments
from lemonade_like.tools.errors import InvalidArguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "integer", "minimum": 1}},
}


@pytest.mark.parametrize(
    ("arguments", "param", "part"),
    [
        ({}, "arguments", "'path' is a required property"),
        ({"path": 1}, "arguments.path", "1 is not of type 'string'"),
        ({"path": "x", "lines": [1, 0]}, "arguments.lines[1]", "0 is less than the minimum of 1"),
        ({"path": "x", "mode": "w"}, "arguments", "'mode' was unexpected"),
        ({"path": "x", "lines": "y" * 1000}, "arguments.lines", "…"),
    ],
)
async def test_what_is_wrong_is_named_by_its_path(arguments: dict[str, Any], param: str, part: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        await ArgumentCheck(SCHEMA, "read").check(arguments)
    assert (caught.value.param, caught.value.status) == (param, 400)
    assert part in caught.value.message
    assert len(caught.value.message) < 400


async def test_what_is_right_passes() -> None:
    await ArgumentCheck(SCHEMA, "read").check({"path": "x", "lines": [1]})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"$ref": "http://[/x"},
        {"$schema": 5},
        {"$schema": []},
        {"$id": 5},
        {"$id": "http://[/x", "properties": {"any": {"$ref": "y"}}},
        {"properties": {"any": {"pattern": "("}}},
    ],
)
async def test_a_schema_that_is_none_checks_nothing_and_fetches_nothing(schema: dict[str, Any]) -> None:
    await ArgumentCheck(schema, "read").check({"any": "thing"})


def test_it_is_told_whether_there_is_a_schema_to_check_by() -> None:
    assert ArgumentCheck(SCHEMA, "read").checks
    assert not ArgumentCheck({"$schema": 5}, "read").checks


async def test_of_many_errors_the_first_is_looked_for_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    make = ValidationError.__init__

    def counting(self: ValidationError, *args: Any, **more: Any) -> None:
        nonlocal made
        made += 1
        make(self, *args, **more)

    monkeypatch.setattr(ValidationError, "__init__", counting)
    with pytest.raises(InvalidArguments) as caught:
        await ArgumentCheck(SCHEMA, "read").check({"path": "x", "lines": ["y"] * 50_000})
    assert caught.value.param == "arguments.lines[0]"
    assert made == 1


@pytest.mark.parametrize(("items", "beside"), [(10, False), (50_000, True)])
async def test_what_is_large_is_checked_beside_the_event_loop(
    items: int, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    check = ArgumentCheck._check

    def noting(self: ArgumentCheck, *args: Any) -> None:
        threads.append(threading.get_ident())
        check(self, *args)

    monkeypatch.setattr(ArgumentCheck, "_check", noting)
    await ArgumentCheck(SCHEMA, "read").check({"path": "x", "lines": [1] * items})
    assert (threads[0] != threading.get_ident()) is beside


async def test_what_is_nested_too_deeply_to_be_followed_is_left_to_the_tool() -> None:
    deep = parsed_arguments('{"a":' * 900 + "1" + "}" * 900, "read")
    await ArgumentCheck({"properties": {"a": {"$ref": "#"}}}, "read").check(deep)


def test_a_model_that_writes_too_much_is_told() -> None:
    most = MAX_BYTES - len('{"a":""}')
    assert parsed_arguments(f'{{"a":"{"x" * most}"}}', "read")
    with pytest.raises(InvalidArguments, match="more than 1,000,000 bytes"):
        parsed_arguments(f'{{"a":"{"x" * most}y"}}', "read")


def test_a_models_arguments_are_read_as_an_object() -> None:
    assert parsed_arguments('{"a":1}', "read") == {"a": 1}
    assert parsed_arguments(" ", "read") == {}


@pytest.mark.parametrize("text", ["{", "[]", "1", "null"])
def test_arguments_that_are_no_object_are_told_to_the_model(text: str) -> None:
    with pytest.raises(InvalidArguments, match="JSON"):
        parsed_arguments(text, "read")
