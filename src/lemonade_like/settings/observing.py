"""What is seen of the server at work."""

from __future__ import annotations

from pydantic import BaseModel, Field

from lemonade_like.settings.fields import LogLevel


class Observing(BaseModel):
    """What is seen of the server at work."""

    log_level: LogLevel = Field(
        default="info",
        description="How much is logged to standard error.",
    )
