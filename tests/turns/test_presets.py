from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.errors import BadRequest
from lemonade_like.harmony.conversation import EFFORTS
from lemonade_like.turns.presets import PRESETS, find_preset, markdown_table, preset_names, with_preset
from lemonade_like.turns.request import TurnRequest
from tests.support.chats import message

DOCS = Path(__file__).parents[2] / "docs" / "presets.md"


def _request(*chat: tuple[str, str], **more: object) -> TurnRequest:
    messages = tuple(message(role, text) for role, text in chat or (("user", "Hello"),))
    return TurnRequest("tiny", messages, **more)  # type: ignore[arg-type]


def test_every_preset_is_an_effort_that_is_known_and_an_instruction() -> None:
    for name in preset_names():
        preset = find_preset(name)
        assert preset.effort in EFFORTS
        assert preset.instruction.endswith(".")


def test_a_group_alone_is_its_first_variant_and_a_slash_will_do() -> None:
    assert find_preset("quick") is find_preset("quick.fast") is find_preset("quick/fast")
    assert find_preset("tool_first/call_immediately") is PRESETS["tool_first"]["call_immediately"]


@pytest.mark.parametrize("name", ["", "slow", "quick.deep", "quick.", ".fast", "quick.fast.more"])
def test_an_unknown_preset_is_refused_with_all_there_are(name: str) -> None:
    with pytest.raises(BadRequest, match=r"quick, quick\.fast, .*confirm_intent") as refused:
        find_preset(name)
    assert refused.value.param == "reasoning_preset"


def test_a_preset_sets_effort_budget_and_an_instruction() -> None:
    asked = with_preset(_request(reasoning_preset="quick.balanced"))
    assert (asked.reasoning_effort, asked.reasoning_budget) == ("low", 512)
    assert [turn.role for turn in asked.messages] == ["system", "user"]
    assert asked.messages[0].text == PRESETS["quick"]["balanced"].instruction


def test_what_the_request_says_itself_goes_before() -> None:
    asked = with_preset(_request(reasoning_preset="quick", reasoning_effort="high", reasoning_budget=0))
    assert (asked.reasoning_effort, asked.reasoning_budget) == ("high", 0)


def test_the_instruction_is_a_paragraph_after_the_clients_own() -> None:
    asked = with_preset(_request(("developer", "Answer in French."), ("user", "Hello"), reasoning_preset="quick"))
    assert [turn.role for turn in asked.messages] == ["developer", "user"]
    assert asked.messages[0].text == f"Answer in French.\n\n{PRESETS['quick']['fast'].instruction}"


def test_without_a_preset_nothing_changes() -> None:
    request = _request()
    assert with_preset(request) is request


def test_the_documentation_has_the_table_as_it_is() -> None:
    assert markdown_table() in DOCS.read_text(encoding="utf-8")
