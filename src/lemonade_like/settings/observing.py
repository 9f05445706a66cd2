"""What is seen of the server at work."""

from __future__ import annotations

from pydantic import BaseModel, Field

from lemonade_like.settings.fields import LogFormat, LogLevel, allowed


class Observing(BaseModel):
    """What is seen of the server at work."""

    log_level: LogLevel = Field(
        default="info",
        description="How much is logged to standard error.",
    )
    log_format: LogFormat = Field(
        default="text",
        description="How it is logged: lines for people, or for programs a JSON object in each line.",
    )
    log_prompts: bool = Field(
        default=False,
        description="Log what models are asked and what they answer, in full, at --log-level debug. Otherwise no log "
        "has any of it.",
        json_schema_extra=allowed("true or false"),
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#]+[^?#]*$",
        description="Where OpenTelemetry traces are sent, over OTLP/HTTP: the base URL of a collector, such as "
        "http://localhost:4318 (needs pip install 'lemonade-like[otel]'). By default it is what "
        "OTEL_EXPORTER_OTLP_ENDPOINT says, and without that there are none.",
        json_schema_extra=allowed("a URL that begins with https:// or http://", file_only=True),
    )
