"""Who gets in."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

from lemonade_like.settings.fields import allowed


class Access(BaseModel):
    """Who gets in."""

    api_key: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Key that clients must send (Authorization: Bearer KEY). Other users of this machine can read a "
        "command line, so the environment or the configuration file is the better place.",
        json_schema_extra=allowed("a text (quote it in the configuration file)"),
    )
