"""Where the settings come from: the command line, then the environment, then the configuration file, then defaults."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from lemonade_like.settings import ENV_PREFIX, Settings, SettingsError, allowed_values, flag, is_secret, user_folder
from lemonade_like.settings.tools import with_variables

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class _Layer:
    """Values from one source, under the fields' names, and how that source spells each of them."""

    source: str
    values: dict[str, Any]
    spelling: dict[str, str]


def load_settings(cli: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from command line, environment and file.

    ``cli`` has the options that were given, by field name; ``None`` is not given. Its ``config``, or
    ``LEMONADE_LIKE_CONFIG``, is the configuration file; without either, the user's own is read if it is there.
    Raises :class:`SettingsError`.
    """
    given = {name: value for name, value in cli.items() if value not in (None, ())}
    config = given.pop("config", None)
    layers = [
        _normalise("the command line", given, {name: flag(name) for name in given}),
        _environment_layer(environ),
        _file_layer(config, environ),
    ]
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged.update(layer.values)
    if "tool_servers" in merged:
        merged["tool_servers"] = _tool_servers(merged["tool_servers"], layers, environ)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _explain(error, layers) from None


def default_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's own configuration file is looked for."""
    return user_folder("config", environ) / "config.yaml"


# Short spellings that a person will try: the option is --model, and --no-harmony is a switch.
_SHORTHANDS = ("model", "no_harmony")

# Separated by commas in the environment.
_LISTS = ("models", "model", "api_key", "admin_key", "allowed_hosts", "cors_origins")


def _normalise(source: str, raw: Mapping[str, Any], spelling: Mapping[str, str]) -> _Layer:
    """Shorthands put into the fields' own names and shapes, so that a layer overrides another field by field."""
    values: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in raw.items():
        if value is None:
            continue
        name, plain = key, value
        if key == "no_harmony":
            switch = str(value).strip().lower()
            if switch in {"false", "0", "no", "off"}:
                continue
            if switch not in {"true", "1", "yes", "on"}:
                raise SettingsError(
                    f"{value!r} is no value for {spelling[key]} ({source}).\nIt must be true or false, 1 or 0."
                )
            name, plain = "harmony", "never"
        elif key in ("model", "models"):
            name, plain = "models", [value] if isinstance(value, str) else value
        if name in values:
            raise SettingsError(f"{spelling[key]} and {spelled[name]} are both set ({source}).\nKeep one of them.")
        values[name] = plain
        spelled[name] = spelling[key]
    return _Layer(source, values, spelled)


def _environment_layer(environ: Mapping[str, str]) -> _Layer:
    raw: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    for key in (*Settings.model_fields, *_SHORTHANDS):
        variable = ENV_PREFIX + key.upper()
        text = environ.get(variable, "").strip()
        if not text:  # set but empty is how a container leaves a variable out
            continue
        spelling[key] = variable
        if key in _LISTS:
            raw[key] = [part.strip() for part in text.split(",") if part.strip()]
        elif "_by_" in key or key == "model_aliases":
            # Arguments have commas in them.
            parts = text.split(";" if key.startswith("llamacpp_args_") else ",")
            raw[key] = {
                name.strip(): value.strip()
                for name, _, value in (part.partition("=") for part in parts if part.strip())
            }
        elif key == "tool_servers":
            raw[key] = _parsed(text)
        else:
            raw[key] = text
    return _normalise("the environment", raw, spelling)


def _parsed(text: str) -> Any:
    """What YAML or JSON in a variable says; text that is neither is refused for what it is."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _tool_servers(servers: Any, layers: list[_Layer], environ: Mapping[str, str]) -> Any:
    try:
        return with_variables(servers, environ)
    except KeyError as error:
        layer = next(layer for layer in layers if "tool_servers" in layer.values)
        raise SettingsError(
            f"{layer.spelling['tool_servers']} ({layer.source}) needs the environment variable {error.args[0]}, which "
            "is not set."
        ) from None


def _file_layer(config: str | Path | None, environ: Mapping[str, str]) -> _Layer:
    named = str(config) if config else environ.get(ENV_PREFIX + "CONFIG", "").strip()
    try:
        path = Path(named) if named else default_config_path(environ)
    except SettingsError:  # nobody without a home has a file there
        return _Layer("", {}, {})
    try:
        path = path.expanduser()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not named:
            return _Layer("", {}, {})
        raise SettingsError(
            f"There is no configuration file at {path}.\n`lemonade-like config > {path}` writes one to start from."
        ) from None
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error}.") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise SettingsError(f"The configuration file {path}{where} is not YAML: {problem}.") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SettingsError(
            f"The configuration file {path} must be lines of `key: value`.\n`lemonade-like config` shows an example."
        )
    _refuse_unknown_keys(data, path)
    return _normalise(str(path), data, {key: key for key in data})


def _refuse_unknown_keys(data: dict[Any, Any], path: Path) -> None:
    known = (*Settings.model_fields, *_SHORTHANDS)
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key).replace("-", "_"), known, n=3)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise SettingsError(
                f"{str(key)!r} in {path} is no setting.\n{hint}`lemonade-like config` shows all there are."
            )


def _explain(error: ValidationError, layers: list[_Layer]) -> SettingsError:
    """The first thing wrong: which option, which value (unless secret), where it was set, and what it may be."""
    for problem in error.errors():
        name = str(problem["loc"][0])
        layer = next((layer for layer in layers if name in layer.values), None)
        if layer is None:  # a default that could not be worked out because another field is wrong
            continue
        if name == "tool_servers":
            return _of_tool_servers(problem, layer)
        value = "The value" if is_secret(name) else repr(layer.values[name])
        return SettingsError(
            f"{value} is no value for {layer.spelling[name]} ({layer.source}).\nIt must be {allowed_values(name)}."
        )
    return SettingsError(str(error))


def _of_tool_servers(problem: Mapping[str, Any], layer: _Layer) -> SettingsError:
    """What is wrong, by its path: the values themselves may be secret."""
    path = ".".join(str(step) for step in problem["loc"] if step != "[key]")
    what = str(problem["msg"]).removeprefix("Value error, ")
    return SettingsError(
        f"{path} is wrong ({layer.source}): {what[:1].lower()}{what[1:]}.\n"
        f"tool_servers must be {allowed_values('tool_servers')}."
    )


def sample_config() -> str:
    """A configuration file with every option, described and commented out at its default."""
    lines = [
        "# Configuration of lemonade-like. Every option is here, at its default; take the # away to set one.",
        f"# Read from --config FILE, ${ENV_PREFIX}CONFIG, or else {default_config_path()}.",
        f"# The command line goes before the environment ({ENV_PREFIX}PORT=8000 …), and that before this file.",
    ]
    for name, field in Settings.model_fields.items():
        lines += ["", *_comment(field.description or "")]
        if field.json_schema_extra is None:
            lines.append(f"# It is {allowed_values(name)}.")
        lines.append(f"#{name}: {_sample_value(name)}")
    return "\n".join(lines) + "\n"


def _sample_value(name: str) -> str:
    default = Settings().model_dump(mode="json")[name]
    return yaml.safe_dump(default, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _comment(text: str, width: int = 116) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] += f" {word}"
    return [f"#{line}" for line in lines]
