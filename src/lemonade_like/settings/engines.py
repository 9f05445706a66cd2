"""Which engines there are, how they are started, and what they may take."""

from __future__ import annotations

import shlex

from pydantic import BaseModel, Field, field_validator

from lemonade_like.settings.fields import Backend, allowed, known_backends


class Engines(BaseModel):
    """Which engines there are, how they are started, and what they may take."""

    backend: Backend = Field(
        default="auto",
        description="Engine to run models on. auto takes the first there is: --llama-server, one that was installed, "
        "llama-server on PATH, and last the bundled one.",
    )
    llama_server: str | None = Field(
        default=None,
        description="Path of a llama-server of your own, to be used as the engine.",
        json_schema_extra=allowed("the path of an executable"),
    )
    releases_url: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://[^/?#]+[^?#]*$",
        description="Where `lemonade-like backends install` asks for releases of llama.cpp: GitHub's API, or a mirror "
        "that answers the same.",
        json_schema_extra=allowed("a URL that begins with https:// or http://", file_only=True),
    )
    ctx_size: int = Field(
        default=0,
        ge=0,
        description="Context in tokens that each request may use, prompt and answer together. 0 is automatic: what "
        "the model was made for, but at most 32768, so that --parallel of them fit into memory.",
        json_schema_extra=allowed("a whole number of tokens, or 0 for automatic"),
    )
    parallel: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Requests that one model answers at the same time; more wait their turn. Each has its own context, "
        "so memory grows with it. Four serves a small team or one agent with its helpers.",
        json_schema_extra=allowed("a whole number from 1 to 256"),
    )
    llamacpp_args: str = Field(
        default="",
        description="More arguments for llama-server, as one string, such as '--n-gpu-layers 99 --threads 8'.",
        json_schema_extra=allowed("one string of arguments, quoted as in a shell"),
    )
    llamacpp_args_by_backend: dict[str, str] = Field(
        default={},
        description="More arguments for the engines of single backends, such as {vulkan: '--n-gpu-layers 99'} (in the "
        "environment: vulkan=--n-gpu-layers 99; cpu=--threads 8). They add to llamacpp_args, and go before it where "
        "both say the same flag.",
        json_schema_extra=allowed(
            "names of backends, each with a string of arguments, quoted as in a shell", file_only=True
        ),
    )
    max_loaded_models: int = Field(
        default=0,
        ge=0,
        description="Models that may be loaded at the same time. The one that was not used for longest makes room for "
        "the next. 0 is as many as fit into memory.",
        json_schema_extra=allowed("a whole number, or 0 for no limit but memory"),
    )
    memory_budget: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Gigabytes that all loaded models together may take; one that does not fit is refused. 0 goes by "
        "the memory that the machine has.",
        json_schema_extra=allowed("a number of gigabytes, or 0 for automatic"),
    )
    idle_timeout: int = Field(
        default=0,
        ge=0,
        description="Seconds after which a model that nobody uses is unloaded. 0 is never: it stays until another "
        "needs its memory.",
        json_schema_extra=allowed("a whole number of seconds, or 0 for never"),
    )
    load_timeout: int = Field(
        default=600,
        ge=0,
        description="Seconds that an engine may take to load a model before it is stopped; 0 is as long as it takes.",
        json_schema_extra=allowed("a whole number of seconds", file_only=True),
    )
    watchdog_timeout: int = Field(
        default=60,
        ge=0,
        description="Seconds after which an engine that has work, but uses no processor time, moves no slot and sends "
        "nothing, is taken for hung, and started again; 0 never does. A long prompt is no hang, however slow.",
        json_schema_extra=allowed("a whole number of seconds", file_only=True),
    )
    max_crashes: int = Field(
        default=3,
        ge=1,
        description="Crashes of its engine after which a request is given up. Until then the engine is started again.",
        json_schema_extra=allowed("a whole number from 1", file_only=True),
    )

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

    @field_validator("llamacpp_args_by_backend")
    @classmethod
    def _arguments_are_for_backends(cls, by_backend: dict[str, str]) -> dict[str, str]:
        return known_backends(by_backend)
