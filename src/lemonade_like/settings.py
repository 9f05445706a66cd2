"""Every option of the server, once: its name, type, default and description.

The command line's help, the sample configuration file and the checks all come from :class:`Settings`. A value is
looked for on the command line, then in the environment (``LEMONADE_LIKE_`` and the option's name), then in the
configuration file, and last it is the default. ``Settings(...)`` itself reads nothing but its arguments;
:func:`lemonade_like.configuration.load_settings` does the looking.
"""

from __future__ import annotations

import os
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "lemonade-like"
ENV_PREFIX = "LEMONADE_LIKE_"

Backend = Literal["auto", "bundled", "system", "cpu", "vulkan", "cuda", "rocm", "metal"]
HarmonyMode = Literal["auto", "always", "never"]
LogLevel = Literal["debug", "info", "warning", "error"]
ReasoningLevel = Literal["low", "medium", "high"]
ReasoningFormat = Literal["separate", "inline", "hidden"]


class SettingsError(ServerError):
    """An option has a value that it cannot have, or there is no such option; three lines at most."""


def user_folder(kind: Literal["cache", "config", "data"], environ: Mapping[str, str] = os.environ) -> Path:
    """The platform's own folder for this program's files of that kind; it need not exist.

    Raises :class:`SettingsError` where the user has no home.
    """
    variable, under_home = {
        "win32": {
            "cache": ("LOCALAPPDATA", "AppData/Local"),
            "config": ("APPDATA", "AppData/Roaming"),
            "data": ("LOCALAPPDATA", "AppData/Local"),
        },
        "darwin": {
            "cache": ("", "Library/Caches"),
            "config": ("", "Library/Application Support"),
            "data": ("", "Library/Application Support"),
        },
    }.get(
        sys.platform,
        {
            "cache": ("XDG_CACHE_HOME", ".cache"),
            "config": ("XDG_CONFIG_HOME", ".config"),
            "data": ("XDG_DATA_HOME", ".local/share"),
        },
    )[kind]
    if given := environ.get(variable):
        return Path(given) / APP
    try:
        return Path.home() / under_home / APP
    except RuntimeError:
        option = ENV_PREFIX + {"cache": "CACHE_DIR", "config": "CONFIG", "data": "DATA_DIR"}[kind]
        raise SettingsError(
            f"This user has no home folder, so there is no place for the {kind}.\nSet HOME, or {option}."
        ) from None


def _data_folder(cache_dir: Path) -> Path:
    try:
        return user_folder("data")
    except SettingsError:  # a user without a home, who has said where the cache is
        return cache_dir / "data"


def _allowed(text: str, *, file_only: bool = False) -> dict[str, Any]:
    return {"allowed": text, "file_only": file_only}


class Settings(BaseSettings):
    """The options of one server, checked and frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. 0.0.0.0 is every network of this machine: set an API key then.",
        json_schema_extra=_allowed("an IP address or host name of this machine"),
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on. 0 takes any free one and says which.",
        json_schema_extra=_allowed("a whole number from 0 to 65535"),
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="Model to serve: a name from `lemonade-like models`, org/repo:QUANT of the Hugging Face Hub, or "
        "the path of a .gguf file, or of a folder of them; a file is served under its stem. May be given more than "
        "once (in the environment: separated by commas). "
        "Each is loaded by its first request. With none given, the bundled tiny-gpt-oss is there.",
        json_schema_extra=_allowed("a list of model names and paths of .gguf files or folders"),
    )
    backend: Backend = Field(
        default="auto",
        description="Engine to run models on. auto takes the first there is: --llama-server, one that was installed, "
        "llama-server on PATH, and last the bundled one.",
    )
    llama_server: str | None = Field(
        default=None,
        description="Path of a llama-server of your own, to be used as the engine.",
        json_schema_extra=_allowed("the path of an executable"),
    )
    ctx_size: int = Field(
        default=0,
        ge=0,
        description="Context in tokens that each request may use, prompt and answer together. 0 is automatic: what "
        "the model was made for, but at most 32768, so that --parallel of them fit into memory.",
        json_schema_extra=_allowed("a whole number of tokens, or 0 for automatic"),
    )
    parallel: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Requests that one model answers at the same time; more wait their turn. Each has its own context, "
        "so memory grows with it. Four serves a small team or one agent with its helpers.",
        json_schema_extra=_allowed("a whole number from 1 to 256"),
    )
    queue_size: int = Field(
        default=64,
        ge=0,
        description="Requests that may wait for one model beside those that it answers. More are sent away with HTTP "
        "429, and told when to come again.",
        json_schema_extra=_allowed("a whole number"),
    )
    max_loaded_models: int = Field(
        default=0,
        ge=0,
        description="Models that may be loaded at the same time. The one that was not used for longest makes room for "
        "the next. 0 is as many as fit into memory.",
        json_schema_extra=_allowed("a whole number, or 0 for no limit but memory"),
    )
    memory_budget: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Gigabytes that all loaded models together may take; one that does not fit is refused. 0 goes by "
        "the memory that the machine has.",
        json_schema_extra=_allowed("a number of gigabytes, or 0 for automatic"),
    )
    idle_timeout: int = Field(
        default=0,
        ge=0,
        description="Seconds after which a model that nobody uses is unloaded. 0 is never: it stays until another "
        "needs its memory.",
        json_schema_extra=_allowed("a whole number of seconds, or 0 for never"),
    )
    max_crashes: int = Field(
        default=3,
        ge=1,
        description="Crashes of its engine after which a request is given up. Until then the engine is started again.",
        json_schema_extra=_allowed("a whole number from 1", file_only=True),
    )
    llamacpp_args: str = Field(
        default="",
        description="More arguments for llama-server, as one string, such as '--n-gpu-layers 99 --threads 8'.",
        json_schema_extra=_allowed("one string of arguments, quoted as in a shell"),
    )
    llamacpp_args_by_backend: dict[str, str] = Field(
        default={},
        description="More arguments for the engines of single backends, such as {vulkan: '--n-gpu-layers 99'} (in the "
        "environment: vulkan=--n-gpu-layers 99; cpu=--threads 8). They add to llamacpp_args, and go before it where "
        "both say the same flag.",
        json_schema_extra=_allowed(
            "names of backends, each with a string of arguments, quoted as in a shell", file_only=True
        ),
    )
    load_timeout: int = Field(
        default=600,
        ge=0,
        description="Seconds that an engine may take to load a model before it is stopped; 0 is as long as it takes.",
        json_schema_extra=_allowed("a whole number of seconds", file_only=True),
    )
    watchdog_timeout: int = Field(
        default=60,
        ge=0,
        description="Seconds after which an engine that has work, but uses no processor time, moves no slot and sends "
        "nothing, is taken for hung, and started again; 0 never does. A long prompt is no hang, however slow.",
        json_schema_extra=_allowed("a whole number of seconds", file_only=True),
    )
    drain_timeout: int = Field(
        default=5,
        ge=0,
        description="Seconds that running answers have to finish when the server is told to stop. Docker kills after "
        "ten, and the engines need some of them.",
        json_schema_extra=_allowed("a whole number of seconds", file_only=True),
    )
    reasoning_level: ReasoningLevel = Field(
        default="medium",
        description="How much a GPT-OSS model reasons when the request does not say.",
    )
    reasoning_format: ReasoningFormat = Field(
        default="separate",
        description="Where a model's reasoning goes when the request does not say: separate is a field of its own "
        "(reasoning_content), inline puts it into the content between <think> and </think>, hidden keeps it out of "
        "every answer.",
    )
    model_identity: str | None = Field(
        default=None,
        min_length=1,
        description="Who a GPT-OSS model is told to be, in the first line of its prompt. By default it is what the "
        'model was trained on: "You are ChatGPT, a large language model trained by OpenAI."',
        json_schema_extra=_allowed("a sentence", file_only=True),
    )
    knowledge_cutoff: str | None = Field(
        default=None,
        min_length=1,
        description="Up to when a GPT-OSS model is told to know things: 2024-06 by default.",
        json_schema_extra=_allowed("a month, such as 2024-06", file_only=True),
    )
    current_date: str | None = Field(
        default=None,
        description="The date that a GPT-OSS model is told. By default it is the day of the request.",
        json_schema_extra=_allowed("a date, as in 2026-01-31 (quote it in the configuration file)", file_only=True),
    )
    harmony: HarmonyMode = Field(
        default="auto",
        description="Whether GPT-OSS models are spoken to in Harmony, the format that they were trained on. auto does "
        "so wherever it can, always refuses to load the model if it cannot, never uses llama.cpp's chat template "
        "(so does --no-harmony).",
    )
    harmony_by_backend: dict[str, HarmonyMode] = Field(
        default={},
        description="The same for single backends, such as {vulkan: never} (in the environment: "
        "vulkan=never,cpu=auto).",
        json_schema_extra=_allowed("names of backends, each with auto, always or never", file_only=True),
    )
    harmony_by_model: dict[str, HarmonyMode] = Field(
        default={},
        description="The same for single models, such as {my-gpt-oss: always}; it goes before the backend's.",
        json_schema_extra=_allowed("names of models, each with auto, always or never", file_only=True),
    )
    reasoning_memory: int = Field(
        default=64,
        ge=0,
        description="Megabytes for the reasoning before tool calls, so that the model sees it again on the next turn "
        "although the client did not send it back. 0 remembers none.",
        json_schema_extra=_allowed("a whole number of megabytes", file_only=True),
    )
    response_store: int = Field(
        default=256,
        ge=0,
        description="Megabytes for the responses that are kept, so that clients can go on with previous_response_id. "
        "Those that were not used for longest make room. 0 keeps none.",
        json_schema_extra=_allowed("a whole number of megabytes", file_only=True),
    )
    response_store_count: int = Field(
        default=10_000,
        ge=0,
        description="Responses that are kept, at most. 0 keeps none.",
        json_schema_extra=_allowed("a whole number", file_only=True),
    )
    response_store_days: int = Field(
        default=30,
        ge=0,
        description="Days that a response is kept after it was last used. 0 is without limit.",
        json_schema_extra=_allowed("a whole number of days, or 0 for no limit", file_only=True),
    )
    api_key: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Key that clients must send (Authorization: Bearer KEY). Other users of this machine can read a "
        "command line, so the environment or the configuration file is the better place.",
        json_schema_extra=_allowed("a text (quote it in the configuration file)"),
    )
    log_level: LogLevel = Field(
        default="info",
        description="How much is logged to standard error.",
    )
    releases_url: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://[^/?#]+[^?#]*$",
        description="Where `lemonade-like backends install` asks for releases of llama.cpp: GitHub's API, or a mirror "
        "that answers the same.",
        json_schema_extra=_allowed("a URL that begins with https:// or http://", file_only=True),
    )
    cache_dir: Path = Field(
        default_factory=lambda: user_folder("cache"),
        description="Folder for what can be made again: the unpacked bundled model, vocabularies, logs.",
        json_schema_extra=_allowed("the path of a folder", file_only=True),
    )
    data_dir: Path = Field(
        default_factory=lambda values: _data_folder(values["cache_dir"]),
        description="Folder for what cannot be made again: the models that you registered, the options that were "
        "saved for models, and responses that clients may go on with.",
        json_schema_extra=_allowed("the path of a folder", file_only=True),
    )
    log_dir: Path = Field(
        default_factory=lambda values: values["cache_dir"] / "logs",
        description="Folder for the engines' logs, one file each (by default `logs` in cache_dir).",
        json_schema_extra=_allowed("the path of a folder", file_only=True),
    )

    @property
    def backends_dir(self) -> Path:
        """Where engines are installed, a folder for each backend."""
        return self.cache_dir / "backends"

    @field_validator("llamacpp_args")
    @classmethod
    def _can_be_split(cls, arguments: str) -> str:
        shlex.split(arguments)
        return arguments

    @field_validator("llamacpp_args_by_backend")
    @classmethod
    def _can_each_be_split(cls, by_backend: dict[str, str]) -> dict[str, str]:
        for arguments in by_backend.values():
            shlex.split(arguments)
        return by_backend

    @field_validator("harmony_by_backend", "llamacpp_args_by_backend")
    @classmethod
    def _are_backends(cls, by_backend: dict[str, str]) -> dict[str, str]:
        if unknown := [name for name in by_backend if name == "auto" or name not in get_args(Backend)]:
            raise ValueError(f"there is no backend {unknown[0]}")
        return by_backend

    @field_validator("current_date")
    @classmethod
    def _is_a_date(cls, text: str | None) -> str | None:
        return text if text is None else date.fromisoformat(text).isoformat()

    @field_validator("cache_dir", "data_dir", "log_dir")
    @classmethod
    def _expand_home(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError as error:  # ~ of a user who has no home
            raise ValueError(str(error)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: :func:`load_settings` knows the other sources, and can name them in an error."""
        return (init_settings,)


def flag(name: str) -> str:
    """The command line's option for a field."""
    return "--model" if name == "models" else "--" + name.replace("_", "-")


def allowed_values(name: str) -> str:
    """What the field may be, in words."""
    field = Settings.model_fields[name]
    if isinstance(field.json_schema_extra, dict) and "allowed" in field.json_schema_extra:
        return str(field.json_schema_extra["allowed"])
    return "one of " + ", ".join(get_args(field.annotation))


def is_file_only(name: str) -> bool:
    """Whether the field is left off the command line (it is in the environment and the file all the same)."""
    extra = Settings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("file_only"))
