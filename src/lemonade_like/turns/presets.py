"""Named ways to reason: each is an effort, a budget and an instruction to the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemonade_like.turns.request import TurnRequest


@dataclass(frozen=True)
class Preset:
    """``effort`` is a word for it; ``budget`` is in tokens of reasoning for the turn, or ``None`` for no bound;
    ``instruction`` follows the client's own."""

    effort: str
    budget: int | None
    instruction: str


#: Group -> variant -> preset. A group by itself is its first variant.
PRESETS: Final[Mapping[str, Mapping[str, Preset]]] = {
    "quick": {
        "fast": Preset("low", 128, "Answer at once, with hardly any reasoning, and keep the answer short."),
        "balanced": Preset("low", 512, "Reason briefly, then answer to the point."),
    },
    "balanced": {
        "medium": Preset("medium", 2048, "Reason as far as the question needs it, then answer."),
        "thoughtful": Preset("medium", 4096, "Weigh the alternatives before you answer, and say why you chose one."),
    },
    "thorough": {
        "deep": Preset("high", 8192, "Reason step by step, and check the result before you answer."),
        "exhaustive": Preset(
            "high",
            32768,
            "Consider every case and every objection, check each step, and answer only when nothing is left open.",
        ),
    },
    "tool_first": {
        "plan_then_call": Preset(
            "medium",
            2048,
            "Plan first which tools you need, then call them. Do not answer from memory what a tool knows.",
        ),
        "call_immediately": Preset(
            "low", 256, "Where a tool can help, call it at once, without planning. Answer from its result."
        ),
    },
    "user_guided": {
        "ask_for_clarification": Preset(
            "medium", 2048, "If the request is ambiguous or something is missing, ask the user before you go on."
        ),
        "confirm_intent": Preset(
            "medium", 1024, "Before anything that cannot be undone, say what you are about to do and ask for consent."
        ),
    },
}


def find_preset(name: str) -> Preset:
    """Return the preset ``GROUP``, ``GROUP.VARIANT`` or ``GROUP/VARIANT``. Raises ``BadRequest`` if there is none."""
    group, _, variant = name.replace("/", ".").partition(".")
    variants = PRESETS.get(group, {})
    chosen = variants.get(variant) if variant else next(iter(variants.values()), None)
    if chosen is None or name.endswith((".", "/")):
        raise BadRequest(
            f"'reasoning_preset' is {name[:60]!r}, but must be one of {', '.join(preset_names())}.",
            param="reasoning_preset",
            code="invalid_value",
        )
    return chosen


def preset_names() -> list[str]:
    """Return every name, groups before their variants."""
    return [name for group, variants in PRESETS.items() for name in (group, *(f"{group}.{v}" for v in variants))]


def with_preset(request: TurnRequest) -> TurnRequest:
    """Return the request with its preset worked in; what the request says itself goes before."""
    if request.reasoning_preset is None:
        return request
    preset = find_preset(request.reasoning_preset)
    return replace(
        request,
        messages=_instructed(request.messages, preset.instruction),
        reasoning_effort=request.reasoning_effort or preset.effort,
        reasoning_budget=preset.budget if request.reasoning_budget is None else request.reasoning_budget,
    )


def _instructed(messages: tuple[ChatMessage, ...], instruction: str) -> tuple[ChatMessage, ...]:
    """The messages with one more instruction: chat templates take but one message of them, so it joins the first."""
    first = messages[0]
    if first.role not in ("system", "developer"):
        return (ChatMessage("system", (TextPart(instruction),)), *messages)
    # Parts are joined by one newline; this is a paragraph of its own.
    part = TextPart(f"\n{instruction}" if first.content else instruction)
    return (replace(first, content=(*first.content, part)), *messages[1:])


def markdown_table() -> str:
    """Return the presets as the documentation shows them."""
    lines = ["| Preset | Effort | Budget | Instruction |", "|---|---|---|---|"]
    for group, variants in PRESETS.items():
        for place, (variant, preset) in enumerate(variants.items()):
            name = f"`{group}.{variant}`" + (f", `{group}`" if place == 0 else "")
            lines.append(f"| {name} | {preset.effort} | {preset.budget or 'none'} | {preset.instruction} |")
    return "\n".join(lines) + "\n"
