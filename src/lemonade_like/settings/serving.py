"""Where the server listens, what it serves, and how many may wait for it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from lemonade_like.settings.fields import allowed


class Serving(BaseModel):
    """Where the server listens, what it serves, and how many may wait for it."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. 0.0.0.0 is every network of this machine: set an API key then.",
        json_schema_extra=allowed("an IP address or host name of this machine"),
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="Port to listen on. 0 takes any free one and says which.",
        json_schema_extra=allowed("a whole number from 0 to 65535"),
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="Model to serve: a name from `lemonade-like models`, org/repo:QUANT of the Hugging Face Hub, or "
        "the path of a .gguf file, or of a folder of them; a file is served under its stem. May be given more than "
        "once (in the environment: separated by commas). "
        "Each is loaded by its first request. With none given, the bundled tiny-gpt-oss is there.",
        json_schema_extra=allowed("a list of model names and paths of .gguf files or folders"),
    )
    model_aliases: dict[str, str] = Field(
        default={},
        description="Other names for models, for clients that insist on theirs, such as {gpt-4o: gpt-oss-20b-GGUF, "
        '"claude-*": gpt-oss-20b-GGUF} (in the environment: gpt-4o=gpt-oss-20b-GGUF,claude-*=gpt-oss-20b-GGUF). A * is '
        "any text; a model's own name goes before all aliases.",
        json_schema_extra=allowed("names, each with the name of a model", file_only=True),
    )
    keep_alive: float = Field(
        default=5.0,
        gt=0,
        description="Seconds after which a stream that has nothing to say, since the model loads or reads a long "
        "prompt, says that it is there. Proxies cut connections that are silent for long.",
        json_schema_extra=allowed("a number of seconds", file_only=True),
    )
    queue_size: int = Field(
        default=64,
        ge=0,
        description="Requests that may wait for one model beside those that it answers. More are sent away with HTTP "
        "429, and told when to come again.",
        json_schema_extra=allowed("a whole number"),
    )
    drain_timeout: int = Field(
        default=5,
        ge=0,
        description="Seconds that running answers have to finish when the server is told to stop. Docker kills after "
        "ten, and the engines need some of them.",
        json_schema_extra=allowed("a whole number of seconds", file_only=True),
    )
