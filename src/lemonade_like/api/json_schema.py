"""What ``/openapi.json`` says of fields that are checked by hand, as pydantic cannot tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    import re

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler


def spelt(form: re.Pattern[str]) -> WithJsonSchema:
    """Return what is said of a text that has this form as a whole."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{form.pattern})$"})


@dataclass(frozen=True)
class Unsupported:
    """Annotates a field that may only say that it wants nothing; ``why`` goes into the refusal and the description."""

    why: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check that it does."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say what it may be."""
        return {"description": f"Not supported: {self.why}.", "enum": [None, False, 0, "", [], {}]}

    def _check(self, value: Any) -> Any:
        if value:
            raise PydanticCustomError("unsupported", "is not supported here: {what}", {"what": self.why})
        return value
