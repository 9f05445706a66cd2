"""How the bodies of these endpoints name a model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lemonade_like.errors import BadRequest, ModelNotFound


class ModelName(BaseModel):
    """A body that names a model: ``model_name`` as Lemonade has it, or ``model``."""

    model_config = ConfigDict(strict=True)

    model_name: str | None = Field(default=None, min_length=1, description="The model's name.")
    model: str | None = Field(default=None, min_length=1, description="The same, as other APIs call it.")

    @field_validator("model")
    @classmethod
    def _one_name(cls, model: str | None, info: ValidationInfo) -> str | None:
        other = info.data.get("model_name")
        if model and other and model != other:
            raise PydanticCustomError("name", "names two models: model_name and model differ")
        return model

    @property
    def named(self) -> str:
        """The model's name. Raises ``BadRequest`` if there is none."""
        name = self.model_name or self.model
        if name is None:
            raise BadRequest(
                "'model_name' is required, but missing.", param="model_name", code="missing_required_parameter"
            )
        return name


def in_model_name(error: ModelNotFound) -> ModelNotFound:
    """Return the error with the field that has the name here; to the rest of the server that is ``model``."""
    return ModelNotFound(error.message, param="model_name", code=error.code)
