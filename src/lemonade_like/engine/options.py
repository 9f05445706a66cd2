"""With what an engine is started, out of what a request, a model, a backend and the settings say. Pure decisions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from lemonade_like.engine.bundled_flags import OPTIONS
from lemonade_like.engine.spec import BadEngineArguments, flag_name, parse_extra_args
from lemonade_like.settings import SettingsError, flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.settings import Settings

_T = TypeVar("_T")

_NUMBER: Final = re.compile(r"-[\d.]")
#: Every spelling of a flag, and what it sets.
_SAME: Final = {spelling: option.field for option in OPTIONS for spelling in (*option.flags, *option.on, *option.off)}


@dataclass(frozen=True)
class EngineOptions:
    """``None`` is what nobody said. ``ctx_size`` is in tokens for each slot, 0 for automatic.

    ``llamacpp_args`` have been checked by ``parse_extra_args``.
    """

    ctx_size: int | None = None
    parallel: int | None = None
    backend: str | None = None
    llamacpp_args: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        *,
        ctx_size: int | None = None,
        parallel: int | None = None,
        backend: str | None = None,
        llamacpp_args: str | None = None,
    ) -> EngineOptions:
        """Return the options with the arguments split. Raises ``BadEngineArguments``."""
        arguments = None if llamacpp_args is None else parse_extra_args(llamacpp_args)
        return cls(ctx_size, parallel, backend, arguments)


def merge_options(
    request: EngineOptions, model: EngineOptions, backend: EngineOptions, default: EngineOptions
) -> EngineOptions:
    """Return what holds: what the request says, else the model, else the backend, else the settings.

    Arguments for llama-server add up, flag by flag: those of the settings, of the backend, and of the request or else
    the model; where two say the same flag, in whatever spelling, the later one holds. A request thus replaces all that
    was saved for the model, and nothing that was set for the machine.
    """
    layers = (request, model, backend, default)
    own = _first(request.llamacpp_args, model.llamacpp_args)
    return EngineOptions(
        ctx_size=_first(*(layer.ctx_size for layer in layers)),
        parallel=_first(*(layer.parallel for layer in layers)),
        backend=_first(*(layer.backend for layer in layers)),
        llamacpp_args=merge_arguments(default.llamacpp_args or (), backend.llamacpp_args or (), own or ()),
    )


def merge_arguments(*layers: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments of all layers without those that a later layer says otherwise."""
    merged: list[tuple[str, ...]] = []
    for layer in layers:
        groups = list(_groups(layer))
        said = {_what(group[0]) for group in groups}
        # Within a layer a flag may be given twice: some add up.
        merged = [group for group in merged if _what(group[0]) not in said] + groups
    return tuple(argument for group in merged for argument in group)


def pooling_in(arguments: Sequence[str]) -> str | None:
    """Return the way of pooling that arguments for llama-server ask for, if they do."""
    for group in _groups(arguments):
        if _what(group[0]) == "pooling_type":
            return " ".join(group).replace("=", " ").split()[-1]
    return None


def default_options(settings: Settings) -> EngineOptions:
    """Return what the settings say for every engine. Raises ``BadEngineArguments``."""
    return EngineOptions.of(
        ctx_size=settings.ctx_size,
        parallel=settings.parallel,
        backend=settings.backend,
        llamacpp_args=settings.llamacpp_args,
    )


def backend_options(settings: Settings, backend: str) -> EngineOptions:
    """Return what the settings say for the engines of one backend. Raises ``BadEngineArguments``."""
    return EngineOptions.of(llamacpp_args=settings.llamacpp_args_by_backend.get(backend))


def check_arguments(settings: Settings) -> None:
    """Look at all arguments in the settings before there is an engine. Raises ``SettingsError``."""
    said = {flag("llamacpp_args"): settings.llamacpp_args}
    said |= {f"llamacpp_args_by_backend, {name}": text for name, text in settings.llamacpp_args_by_backend.items()}
    for where, text in said.items():
        try:
            parse_extra_args(text)
        except BadEngineArguments as error:
            raise SettingsError(f"{error.message}\nIt is in {where}.") from None


def _first(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


def _groups(arguments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield each flag with its values."""
    group: list[str] = []
    for argument in arguments:
        if group and argument.startswith("-") and not _NUMBER.match(argument):
            yield tuple(group)
            group = []
        group.append(argument)
    if group:
        yield tuple(group)


def _what(argument: str) -> str:
    name = flag_name(argument)
    return _SAME.get(name, name.replace("--no-", "--", 1))
