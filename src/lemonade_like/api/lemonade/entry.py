"""What a client says of a model of the Hub that it wants to be known here, in Lemonade's words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lemonade_like.models.model import Label, ModelEntry, ModelOptions
from lemonade_like.models.names import read_checkpoint


def _checkpoint(text: str) -> str:
    checkpoint = read_checkpoint(text)
    if checkpoint is None:
        raise PydanticCustomError(
            "checkpoint",
            "must be org/repo:QUANT or org/repo:file.gguf of the Hugging Face Hub; a file on this machine is "
            "registered with `lemonade-like register`",
        )
    return checkpoint


def _projector(text: str) -> str:
    try:
        ModelEntry(checkpoint="org/repo", mmproj=text)
    except ValidationError:
        raise PydanticCustomError(
            "projector", "must be the name of a file in the same repository, or org/repo:file.gguf"
        ) from None
    return text


#: ``hf.co/`` may stand before it, and is left away.
HubCheckpoint = Annotated[str, AfterValidator(_checkpoint)]


class EntryFields(BaseModel):
    """The fields of a body that describe a model beside its checkpoint."""

    model_config = ConfigDict(strict=True)

    recipe: Literal["llamacpp"] = Field(default="llamacpp", description="What runs the model.")
    labels: list[Label] = Field(default=[], description="With a checkpoint: what the model is good for.")
    reasoning: bool = Field(default=False, description="The label `reasoning`.")
    vision: bool = Field(default=False, description="The label `vision`; a projector is fetched with the model.")
    embedding: bool = Field(default=False, description="The label `embeddings`.")
    reranking: bool = Field(default=False, description="The label `reranking`.")
    mmproj: Annotated[str, AfterValidator(_projector)] | None = Field(
        default=None, description="With a checkpoint: the vision projector's file, or its checkpoint."
    )

    def described(self, checkpoint: str, options: ModelOptions | None = None) -> ModelEntry:
        """The entry that these fields make of a checkpoint."""
        flags: dict[Label, bool] = {
            "reasoning": self.reasoning,
            "vision": self.vision or self.mmproj is not None,
            "embeddings": self.embedding,
            "reranking": self.reranking,
        }
        labels = dict.fromkeys([*self.labels, *(label for label, given in flags.items() if given)])
        return ModelEntry(
            checkpoint=checkpoint, mmproj=self.mmproj, labels=tuple(labels), options=options or ModelOptions()
        )
