"""How models are spoken to, and what is kept of their answers."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field, field_validator

from lemonade_like.settings.fields import HarmonyMode, ReasoningFormat, ReasoningLevel, allowed, known_backends


class Answers(BaseModel):
    """How models are spoken to, and what is kept of their answers."""

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
        json_schema_extra=allowed("a sentence", file_only=True),
    )
    knowledge_cutoff: str | None = Field(
        default=None,
        min_length=1,
        description="Up to when a GPT-OSS model is told to know things: 2024-06 by default.",
        json_schema_extra=allowed("a month, such as 2024-06", file_only=True),
    )
    current_date: str | None = Field(
        default=None,
        description="The date that a GPT-OSS model is told. By default it is the day of the request.",
        json_schema_extra=allowed("a date, as in 2026-01-31 (quote it in the configuration file)", file_only=True),
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
        json_schema_extra=allowed("names of backends, each with auto, always or never", file_only=True),
    )
    harmony_by_model: dict[str, HarmonyMode] = Field(
        default={},
        description="The same for single models, such as {my-gpt-oss: always}; it goes before the backend's.",
        json_schema_extra=allowed("names of models, each with auto, always or never", file_only=True),
    )
    reasoning_memory: int = Field(
        default=64,
        ge=0,
        description="Megabytes for the reasoning before tool calls, so that the model sees it again on the next turn "
        "although the client did not send it back. Where there are tool_servers, half of it is for what their tools "
        "returned before such calls. 0 remembers none.",
        json_schema_extra=allowed("a whole number of megabytes", file_only=True),
    )
    response_store: int = Field(
        default=256,
        ge=0,
        description="Megabytes for the responses that are kept, so that clients can go on with previous_response_id. "
        "Those that were not used for longest make room. 0 keeps none.",
        json_schema_extra=allowed("a whole number of megabytes", file_only=True),
    )
    response_store_count: int = Field(
        default=10_000,
        ge=0,
        description="Responses that are kept, at most. 0 keeps none.",
        json_schema_extra=allowed("a whole number", file_only=True),
    )
    response_store_days: int = Field(
        default=30,
        ge=0,
        description="Days that a response is kept after it was last used. 0 is without limit.",
        json_schema_extra=allowed("a whole number of days, or 0 for no limit", file_only=True),
    )

    @field_validator("current_date")
    @classmethod
    def _is_a_date(cls, text: str | None) -> str | None:
        return text if text is None else date.fromisoformat(text).isoformat()

    @field_validator("harmony_by_backend")
    @classmethod
    def _harmony_is_for_backends(cls, by_backend: dict[str, str]) -> dict[str, str]:
        return known_backends(by_backend)
