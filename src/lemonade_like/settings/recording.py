"""Whether turns are recorded, and how much is kept of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from lemonade_like.settings.fields import allowed


class Recording(BaseModel):
    """Whether turns are recorded, and how much is kept of them."""

    record_turns: Path | None = Field(
        default=None,
        description="Record every turn, prompt and answer included, as a line of JSON in this folder, or in this file "
        "if its name ends in .jsonl; `lemonade-like replay` runs them again. Only this user may read the files. By "
        "default nothing is recorded.",
        json_schema_extra=allowed("the path of a folder, or of a file that ends in .jsonl"),
    )
    record_max_mb: int = Field(
        default=100,
        ge=1,
        description="Megabytes after which a new file of recorded turns is begun.",
        json_schema_extra=allowed("a whole number of megabytes from 1", file_only=True),
    )
    record_files: int = Field(
        default=10,
        ge=1,
        description="Files of recorded turns that are kept, the one that is written to included; the oldest go first.",
        json_schema_extra=allowed("a whole number from 1", file_only=True),
    )

    @field_validator("record_turns")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        try:
            return path if path is None else path.expanduser().absolute()
        except RuntimeError as error:  # ~ of a user who has no home
            raise ValueError(str(error)) from None
