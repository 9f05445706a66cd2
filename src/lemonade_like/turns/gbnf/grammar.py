"""A JSON Schema checked and made into rules, once for each schema."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft201909Validator, Draft202012Validator, validator_for

from lemonade_like.turns.gbnf.rules import Rules, SchemaError
from lemonade_like.turns.gbnf.writer import Writer

#: A larger schema takes longer to check than a request may hold up others.
MAX_SCHEMA_BYTES: Final = 100_000
MAX_SCHEMA_DEPTH: Final = 64


@dataclass(frozen=True)
class JsonGrammar:
    """Rules for a kind of JSON text; ``root`` names the first of them. They rest on ``JSON_RULES``."""

    root: str
    rules: str = ""


#: Any JSON object.
ANY_OBJECT: Final = JsonGrammar("object")


def schema_grammar(schema: Any, *, strict: bool = True, object_only: bool = False) -> JsonGrammar:
    """Return the grammar of a schema. Rule names of different schemas differ. Results are remembered, within bounds.

    With ``strict``, what cannot be enforced is an error; without, it is left to the model. With ``object_only``, it is
    the grammar of the objects that are valid by the schema.

    Raises:
        SchemaError: the schema is wrong, too large, says what cannot be enforced, or allows nothing.
    """
    return _converted(_written(schema), strict, object_only)


def check_schema(schema: Any) -> None:
    """Check a schema without converting it.

    Raises:
        SchemaError: the schema is wrong or too large.
    """
    _check(orjson.loads(_written(schema)), strict=True)


def _written(schema: Any) -> bytes:
    try:
        written = orjson.dumps(schema)
    except (TypeError, ValueError, RecursionError):
        raise SchemaError(f"nests more than {MAX_SCHEMA_DEPTH} deep, or is no JSON") from None
    if len(written) > MAX_SCHEMA_BYTES:
        raise SchemaError(f"has {len(written)} bytes, but may have {MAX_SCHEMA_BYTES} at most")
    return written


@lru_cache(maxsize=64)
def _converted(written: bytes, strict: bool, object_only: bool) -> JsonGrammar:
    schema = orjson.loads(written)
    _check(schema, strict=strict)
    mark = ("" if strict else "x") + ("o" if object_only else "")
    rules = Rules("s" + hashlib.sha256(written).hexdigest()[:10] + mark)
    writer = Writer(schema, rules, lambda part: _check(part, strict=strict), strict=strict)
    try:
        root = writer.write(object_only=object_only)
    except RecursionError:
        raise SchemaError("combines its parts too deeply") from None
    return JsonGrammar(root, rules.text())


def _check(schema: Any, *, strict: bool) -> None:
    _check_depth(schema)
    checker = validator_for(schema if isinstance(schema, dict) else {}, default=Draft202012Validator)
    error = best_match(checker(checker.META_SCHEMA).iter_errors(schema))
    if error is None:
        return
    # Many schemas that do not say their draft are of an older one, where 'items' may be a list.
    older = Draft201909Validator(Draft201909Validator.META_SCHEMA)
    if not strict and isinstance(schema, dict) and "$schema" not in schema and older.is_valid(schema):
        return
    raise SchemaError(f"is not as JSON Schema wants it: {error.message[:200]}", tuple(error.absolute_path))


def _check_depth(schema: Any) -> None:
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        if not level:
            return
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    raise SchemaError(f"nests more than {MAX_SCHEMA_DEPTH} deep")
