"""A tool's JSON Schema as the TypeScript type that GPT-OSS was trained to read.

The layout is openai-harmony's, indentation included, wherever the library says something true; where it prints
``any`` (anyOf, allOf, ``$ref``, const, integer enums) or lets the second line of a description out of its comment,
this says more. Source: the "Function calling" section of the Harmony response format guide.
"""

from __future__ import annotations

import json
from typing import Any, Final

Schema = dict[str, Any]

#: A ``$ref`` to a type that is being printed already is cut here; so is nesting deeper than this.
MAX_DEPTH: Final = 24

_SCALARS: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def parameters_type(schema: Schema) -> str:
    """Return the type of a function's parameters, e.g. ``{\\n// The city\\nlocation: string,\\n}``."""
    return _Writer(schema).type_of(schema, "", ())


class _Writer:
    def __init__(self, root: Schema) -> None:
        self._root = root

    def type_of(self, schema: Any, indent: str, seen: tuple[str, ...]) -> str:
        """Return the type of ``schema``; ``seen`` are the references being followed."""
        if not isinstance(schema, dict) or len(seen) > MAX_DEPTH or len(indent) > 4 * MAX_DEPTH:
            return "any"
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema["$ref"], indent, seen)
        if isinstance(schema.get("oneOf"), list) and schema["oneOf"]:
            return self._one_of(schema["oneOf"], indent, seen)
        if "const" in schema:
            return _literal(schema["const"])
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return " | ".join(_literal(value) for value in schema["enum"])
        for keyword, operator in (("anyOf", " | "), ("allOf", " & ")):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                return self._joined(schema[keyword], operator, indent, seen)
        return self._by_type(schema, indent, seen)

    def _by_type(self, schema: Schema, indent: str, seen: tuple[str, ...]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            names = [self._by_type({**schema, "type": one}, indent, seen) for one in kind if isinstance(one, str)]
            return " | ".join(dict.fromkeys(names)) or "any"
        if kind == "object" or (kind is None and isinstance(schema.get("properties"), dict)):
            return self._object(schema, indent, seen)
        if kind == "array":
            if "items" not in schema:
                return "Array<any>"
            item = self.type_of(schema["items"], indent, seen)
            return f"({item})[]" if " | " in item or " & " in item else f"{item}[]"
        return _SCALARS.get(kind, "any") if isinstance(kind, str) else "any"

    def _joined(self, variants: list[Any], operator: str, indent: str, seen: tuple[str, ...]) -> str:
        types = dict.fromkeys(self.type_of(variant, indent, seen) for variant in variants)
        return operator.join(f"({one})" if operator == " & " and " | " in one else one for one in types)

    def _one_of(self, variants: list[Any], indent: str, seen: tuple[str, ...]) -> str:
        return "".join(f"\n{indent} | {self._variant(variant, indent, None, seen)}" for variant in variants)

    def _variant(self, variant: Any, indent: str, said_already: Any, seen: tuple[str, ...]) -> str:
        written = self._nullable(variant, self.type_of(variant, f"{indent}   ", seen))
        if not isinstance(variant, dict):
            return written
        notes = []
        if isinstance(variant.get("description"), str) and variant["description"] != said_already:
            notes.append(" ".join(variant["description"].split("\n")))
        if "default" in variant:
            notes.append(f"default: {_default(variant)}")
        return f"{written} // {' '.join(notes)}" if notes else written

    def _reference(self, reference: str, indent: str, seen: tuple[str, ...]) -> str:
        target: Any = self._root
        if not reference.startswith("#") or reference in seen:
            return "any"
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        return self.type_of(target, indent, (*seen, reference))

    def _object(self, schema: Schema, indent: str, seen: tuple[str, ...]) -> str:
        lines = []
        if isinstance(schema.get("description"), str):
            lines.append(_comment(schema["description"], indent))
        lines.append("{\n")
        required = schema.get("required")
        required_names = set(filter(_is_text, required)) if isinstance(required, list) else set()
        properties = schema.get("properties")
        for name, value in properties.items() if isinstance(properties, dict) else ():
            lines.append(self._property(name, value, name in required_names, indent, seen))
        if isinstance(schema.get("additionalProperties"), dict):
            extra = self.type_of(schema["additionalProperties"], f"{indent}    ", seen)
            lines.append(f"{indent}[key: string]: {extra},\n")
        lines.append(f"{indent}}}")
        return "".join(lines)

    def _property(self, name: str, schema: Any, required: bool, indent: str, seen: tuple[str, ...]) -> str:
        optional = "" if required else "?"
        if not isinstance(schema, dict):
            return f"{indent}{name}{optional}: any,\n"
        lines = []
        if isinstance(schema.get("title"), str):
            lines.append(_comment(schema["title"], indent) + f"{indent}//\n")
        one_of = schema.get("oneOf")
        if isinstance(schema.get("description"), str):
            lines.append(_comment(schema["description"], indent))
        if isinstance(schema.get("examples"), list) and schema["examples"]:
            lines.append(f"{indent}// Examples:\n")
            lines += [f"{indent}// - {_one_line(example)}\n" for example in schema["examples"]]
        if isinstance(one_of, list) and one_of:
            if "default" in schema:
                lines.append(f"{indent}// default: {_default(schema)}\n")
            lines.append(f"{indent}{name}{optional}:\n")
            lines += [
                f"{indent} | {self._variant(variant, indent, schema.get('description'), seen)}\n" for variant in one_of
            ]
            lines.append(f"{indent},\n")
            return "".join(lines)
        written = self._nullable(schema, self.type_of(schema, f"{indent}    ", seen))
        default = f" // default: {_default(schema)}" if "default" in schema else ""
        lines.append(f"{indent}{name}{optional}: {written},{default}\n")
        return "".join(lines)

    @staticmethod
    def _nullable(schema: Any, written: str) -> str:
        if isinstance(schema, dict) and schema.get("nullable") is True and "null" not in written.split(" | "):
            return f"{written} | null"
        return written


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _comment(text: str, indent: str) -> str:
    return "".join(f"{indent}// {line}\n" for line in text.split("\n"))


def _one_line(value: Any) -> str:
    return f'"{" ".join(value.split(chr(10)))}"' if isinstance(value, str) else _json(value)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _json(value)


def _default(schema: Schema) -> str:
    value = schema["default"]
    if isinstance(value, str):
        # The library leaves the quotes off for members of an enum.
        return value if schema.get("enum") else f'"{value}"'
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
