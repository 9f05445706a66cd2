"""A tool's JSON Schema as the TypeScript type that GPT-OSS was trained to read.

The layout is openai-harmony's, indentation included, wherever the library says something true; where it prints
``any`` (anyOf, allOf, ``$ref``, const, integer enums), leaves out properties beside ``oneOf``, or lets the second line
of a description out of its comment, this says more. Source: the "Function calling" section of the Harmony response
format guide.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

Schema = dict[str, Any]

#: Nesting deeper than this is ``any``.
MAX_DEPTH: Final = 64
#: So is a reference within more references than this.
MAX_REFERENCES: Final = 12
#: What references may write in one schema, in characters. A few lines of schema can refer to each other so that they
#: would be gigabytes written out; once this is used up, further references are ``any``.
REFERENCE_ROOM: Final = 100_000
_REFERENCE_COST: Final = 200
#: Characters handled for one schema, each once for every level that it is nested in. No context holds as much.
MAX_WORK: Final = 10_000_000

_SCALARS: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


class SchemaTooLarge(ValueError):
    """The schema would take more to write out than any model could read."""


class _Type(NamedTuple):
    """A type as written; ``operator`` is what joins it at the top, and ``null`` whether it may be null."""

    text: str
    operator: str = ""
    null: bool = False


class _Place(NamedTuple):
    """Where a type stands: how far to the right, inside which references, and how deep."""

    indent: str = ""
    references: tuple[str, ...] = ()
    depth: int = 0

    def inside(self, further: str = "") -> _Place:
        return _Place(self.indent + further, self.references, self.depth + 1)


_ANY: Final = _Type("any")


def parameters_type(schema: Schema) -> str:
    """Return the type of a function's parameters, e.g. ``{\\n// The city\\nlocation: string,\\n}``.

    A ``$ref`` to a type that is being written already is ``any``, and so is what goes beyond the bounds above.

    Raises:
        SchemaTooLarge: the type has more characters than any model could read.
    """
    try:
        return _Writer(schema).type_of(schema, _Place()).text
    except RecursionError:
        raise SchemaTooLarge("a value in the schema is nested too deeply.") from None


class _Writer:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._work = 0
        self._by_reference = 0

    def type_of(self, schema: Any, at: _Place) -> _Type:
        if not isinstance(schema, dict) or at.depth > MAX_DEPTH:
            return _ANY
        combined = self._combined(schema, at)
        # A bare "string" or "object" beside variants only says what they say anyway.
        own = [] if combined and not _says_itself(schema) else [self._own(schema, at)]
        written = _both([one for one in (*own, *combined) if one != _ANY])
        self._charge(len(written.text) + len(at.indent))
        return written

    def _charge(self, characters: int) -> None:
        self._work += characters
        if self._work > MAX_WORK:
            raise SchemaTooLarge(f"written out, the schema has more than {MAX_WORK:,} characters, level by level.")

    def _combined(self, schema: Schema, at: _Place) -> list[_Type]:
        """What references and combinations say, each of which holds; nothing for those that say nothing."""
        found = []
        if isinstance(schema.get("$ref"), str):
            found.append(self._reference(schema["$ref"], at))
        for keyword in ("oneOf", "anyOf"):
            if variants := _variants(schema, keyword):
                found.append(self._either(variants, at, in_lines=keyword == "oneOf" or any(map(_has_note, variants))))
        found += [self.type_of(each, at.inside()) for each in _variants(schema, "allOf")]
        return [one for one in found if one != _ANY]

    def _own(self, schema: Schema, at: _Place) -> _Type:
        if "const" in schema:
            return _Type(_literal(schema["const"]), null=schema["const"] is None)
        values = schema.get("enum")
        if isinstance(values, list) and values:
            return _Type(" | ".join(map(_literal, values)), "|" if len(values) > 1 else "", None in values)
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = [self._by_kind(schema, one, at) for one in kind if isinstance(one, str)]
            texts = " | ".join(one.text for one in kinds)
            return _Type(texts, "|" if len(kinds) > 1 else "", "null" in kind) if kinds else _ANY
        if kind is None:
            kind = "object" if isinstance(schema.get("properties"), dict) else "array" if "items" in schema else None
        return self._by_kind(schema, kind, at)

    def _by_kind(self, schema: Schema, kind: Any, at: _Place) -> _Type:
        if kind == "object":
            return _Type(self._object(schema, at))
        if kind == "array":
            return _Type(self._array(schema, at))
        return _Type(_SCALARS[kind], null=kind == "null") if isinstance(kind, str) and kind in _SCALARS else _ANY

    def _array(self, schema: Schema, at: _Place) -> str:
        items = f"{_atom(self._nullable(schema['items'], at.inside()))}[]" if "items" in schema else ""
        first = schema.get("prefixItems")
        if isinstance(first, list) and first:
            places = [self._nullable(one, at.inside()).text for one in first]
            if items and schema["items"] is not False:
                places.append(f"...{items}")
            return f"[{', '.join(places)}]"
        return items or "Array<any>"

    def _nullable(self, schema: Any, at: _Place) -> _Type:
        written = self.type_of(schema, at)
        if isinstance(schema, dict) and schema.get("nullable") is True and not written.null:
            return _Type(f"{written.text} | null", "|", True)
        return written

    def _either(self, variants: list[Any], at: _Place, *, in_lines: bool) -> _Type:
        kinds = [self._nullable(variant, at.inside("   " if in_lines else "")) for variant in variants]
        null = any(one.null for one in kinds)
        if in_lines:
            if all(one == _ANY for one in kinds) and not any(map(_has_note, variants)):
                return _ANY
            lines = [
                f"\n{at.indent} | {one.text}{_note(variant, quoted=True)}"
                for one, variant in zip(kinds, variants, strict=True)
            ]
            return _Type("".join(lines), "|", null)
        texts = list(dict.fromkeys(one.text for one in kinds))
        return _Type(" | ".join(texts), "|" if len(texts) > 1 else kinds[0].operator, null)

    def _reference(self, reference: str, at: _Place) -> _Type:
        too_many = len(at.references) >= MAX_REFERENCES or self._by_reference > REFERENCE_ROOM
        if too_many or reference in at.references:
            return _ANY
        there = _Place(at.indent, (*at.references, reference), at.depth + 1)
        written = self.type_of(self._target(reference), there)
        # Even one that says nothing takes time to follow.
        self._by_reference += len(written.text) + _REFERENCE_COST
        return written

    def _target(self, reference: str) -> Any:
        target: Any = self._root if reference.startswith("#") else None
        for step in unquote(reference[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = target[int(key)] if key.isdecimal() and int(key) < len(target) else None
            else:
                target = target.get(key) if isinstance(target, dict) else None
        return target

    def _object(self, schema: Schema, at: _Place) -> str:
        lines = []
        if isinstance(schema.get("description"), str):
            lines.append(self._comment(schema["description"], at.indent))
        lines.append("{\n")
        required = schema.get("required")
        required_names = {one for one in required if isinstance(one, str)} if isinstance(required, list) else set()
        properties = schema.get("properties")
        for name, value in properties.items() if isinstance(properties, dict) else ():
            lines.append(self._property(name, value, name in required_names, at))
        if isinstance(schema.get("additionalProperties"), dict):
            extra = self._nullable(schema["additionalProperties"], at.inside("    "))
            lines.append(f"{at.indent}[key: string]: {extra.text},\n")
        lines.append(f"{at.indent}}}")
        return "".join(lines)

    def _property(self, name: str, schema: Any, required: bool, at: _Place) -> str:
        indent, field = at.indent, name if required else f"{name}?"
        if not isinstance(schema, dict):
            return f"{indent}{field}: any,\n"
        title = self._comment(schema["title"], indent) + f"{indent}//\n" if isinstance(schema.get("title"), str) else ""
        said = self._description(schema)
        description = self._comment(said, indent) if said is not None else ""
        examples = self._examples(schema, indent)
        variants = _only_variants(schema)
        kinds = [self._nullable(one, at.inside("   ")).text for one in variants]
        notes = [_note(one, said) for one in variants]
        if any(notes) or any(kind != _ANY.text for kind in kinds):
            default = f"{indent}// default: {_default(schema)}\n" if "default" in schema else ""
            lines = [f"{indent} | {kind}{note}\n" for kind, note in zip(kinds, notes, strict=True)]
            # The library has the examples first here, and the description first everywhere else.
            return f"{title}{examples}{description}{default}{indent}{field}:\n{''.join(lines)}{indent},\n"
        default = f" // default: {_default(schema)}" if "default" in schema else ""
        written = self._nullable(schema, at.inside("    "))
        return f"{title}{description}{examples}{indent}{field}: {written.text},{default}\n"

    def _description(self, schema: Schema) -> str | None:
        """What is said about a property; of a reference it is what is said there, unless the type says it itself."""
        said = schema.get("description")
        reference, followed = schema.get("$ref"), 0
        while said is None and isinstance(reference, str) and followed < MAX_REFERENCES:
            target = self._target(reference)
            if not isinstance(target, dict) or target.get("type") == "object":
                return None
            said, reference, followed = target.get("description"), target.get("$ref"), followed + 1
        if not isinstance(said, str) or (followed and self._by_reference > REFERENCE_ROOM):
            return None
        self._by_reference += len(said) if followed else 0
        return said

    def _comment(self, text: str, indent: str) -> str:
        lines = text.split("\n")
        self._charge(len(text) + len(lines) * (len(indent) + 4))
        return "".join(f"{indent}// {line}\n" for line in lines)

    def _examples(self, schema: Schema, indent: str) -> str:
        examples = schema.get("examples")
        if not isinstance(examples, list) or not examples:
            return ""
        self._charge(len(examples) * (len(indent) + 4))
        return f"{indent}// Examples:\n" + "".join(f"{indent}// - {_in_one_line(example)}\n" for example in examples)


def _both(kinds: list[_Type]) -> _Type:
    if len(kinds) < 2:
        return kinds[0] if kinds else _ANY
    texts = dict.fromkeys(f"({one.text})" if one.operator == "|" else one.text for one in kinds)
    return _Type(" & ".join(texts), "&" if len(texts) > 1 else "", all(one.null for one in kinds))


def _variants(schema: Schema, keyword: str) -> list[Any]:
    found = schema.get(keyword)
    return found if isinstance(found, list) else []


def _says_itself(schema: Schema) -> bool:
    """Whether a schema says more than the name of a type, besides what it refers to or combines."""
    return any(schema.get(keyword) for keyword in ("enum", "properties", "items", "prefixItems")) or (
        "const" in schema or isinstance(schema.get("additionalProperties"), dict)
    )


def _only_variants(schema: Schema) -> list[Any]:
    """The variants that are shown a line each: those of a property that says nothing besides."""
    either, further = _variants(schema, "oneOf"), _variants(schema, "anyOf")
    if (either and further) or "$ref" in schema or _variants(schema, "allOf") or _says_itself(schema):
        return []
    return either or (further if any(map(_has_note, further)) else [])


def _atom(kind: _Type) -> str:
    return f"({kind.text})" if kind.operator else kind.text


def _has_note(variant: Any) -> bool:
    return isinstance(variant, dict) and (isinstance(variant.get("description"), str) or "default" in variant)


def _note(variant: Any, said_already: str | None = None, *, quoted: bool = False) -> str:
    """The comment behind a variant."""
    if not isinstance(variant, dict):
        return ""
    notes = []
    if isinstance(variant.get("description"), str) and variant["description"] != said_already:
        notes.append(" ".join(variant["description"].split("\n")))
    if "default" in variant:
        notes.append(f"default: {_default(variant, quoted=quoted)}")
    return f" // {' '.join(notes)}" if notes else ""


def _in_one_line(value: Any) -> str:
    return '"' + value.replace("\n", "\\n") + '"' if isinstance(value, str) else _json(value)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _json(value)


def _default(schema: Schema, *, quoted: bool = False) -> str:
    value = schema["default"]
    # The library leaves the quotes off for members of an enum.
    return value if isinstance(value, str) and schema.get("enum") and not quoted else _in_one_line(value)


def _json(value: Any) -> str:
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number(value: float) -> str:
    """A number as Rust writes it, which is what the model has seen: ``0.00001``, ``1e-7``, ``1e16``."""
    written = json.dumps(value)
    mantissa, e, exponent = written.partition("e")
    if not e:
        return written
    return format(Decimal(written), "f") if int(exponent) == -5 else f"{mantissa}e{int(exponent)}"
