"""What an SDK's types say that a request may have, as paths: ``messages[].content[].text``."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict

if TYPE_CHECKING:
    from collections.abc import Iterator


def paths(form: Any, *, but_not_into: frozenset[str] = frozenset()) -> set[str]:
    """The paths of all fields of a TypedDict, and of those that its fields are made of.

    ``but_not_into`` are paths of which only the field itself is wanted.
    """
    return set(_below(form, "", but_not_into, ()))


def kinds(form: Any) -> set[str]:
    """The values that ``type`` may have in a union of TypedDicts."""
    return {
        kind
        for one in _typed_dicts(form)
        for kind in get_args(_bare(get_type_hints(one, include_extras=True).get("type", Literal[()])))
        if isinstance(kind, str)
    }


def _below(form: Any, before: str, but_not_into: frozenset[str], seen: tuple[Any, ...]) -> Iterator[str]:
    for one in _typed_dicts(form):
        if one in seen:
            continue
        for name, hint in get_type_hints(one, include_extras=True).items():
            path = f"{before}.{name}" if before else name
            yield path
            if path not in but_not_into:
                for inner, deeper in _parts(hint, path):
                    yield from _below(inner, deeper, but_not_into, (*seen, one))


def _typed_dicts(hint: Any) -> Iterator[Any]:
    return (one for one, path in _parts(hint, "") if not path)


def _parts(hint: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The TypedDicts in a type, each with its path: that of a list's members has brackets."""
    hint = _bare(hint)
    if is_typeddict(hint):
        yield hint, path
        return
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for one in get_args(hint):
            yield from _parts(one, path)
    elif isinstance(origin, type) and issubclass(origin, Iterable) and not issubclass(origin, Mapping):
        yield from _parts(get_args(hint)[0], path + "[]")


def _bare(hint: Any) -> Any:
    while get_origin(hint) in (Required, NotRequired, Annotated):
        hint = get_args(hint)[0]
    return hint
