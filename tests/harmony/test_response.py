"""Completions are taken apart as the server does it, from ids and from text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given

from lemonade_like.harmony import completion, tokens
from lemonade_like.harmony.conversation import Opening
from lemonade_like.harmony.messages import FunctionTool
from lemonade_like.harmony.prompt import PromptBuilder
from lemonade_like.harmony.response import ParsedCall, ResponseParser, extract_channel, extract_final_only
from tests.support.chats import message
from tests.support.completions import any_parts, one_frame_each, parse, parts_of, well_formed

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.completions import Part
    from tests.support.library import Reference

WHOLE_TURN = (
    "<|channel|>analysis<|message|>They ask for the weather.<|end|>"
    "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
    "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json"
    '<|message|>{"city":"Tokyo"}<|call|>'
)


@pytest.fixture(scope="module")
def parser(encoder: HarmonyEncoding) -> ResponseParser:
    return ResponseParser(encoder)


def _ids(parts: list[Part], encoder: HarmonyEncoding) -> list[int]:
    return [one for part in parts for one in ([part] if isinstance(part, int) else encoder.encode(part))]


def test_a_turn_is_taken_apart() -> None:
    parsed = ResponseParser().parse(WHOLE_TURN)

    assert parsed.analysis == "They ask for the weather."
    assert parsed.commentary == "Let me look."
    assert parsed.final == ""
    assert parsed.tool_calls == (ParsedCall("get_weather", '{"city":"Tokyo"}'),)
    assert parsed.tool_calls[0].json() == {"city": "Tokyo"}
    assert list(parsed.channels) == ["analysis", "commentary"]
    assert [one.recipient for one in parsed.channels["commentary"]] == [None, "functions.get_weather"]
    assert parsed.metadata.end == "<|call|>"
    assert parsed.metadata.recovered == {}
    assert parsed.metadata.tokens is None


@given(written=well_formed())
def test_well_formed_ids_give_the_messages_of_openai_harmony(
    parser: ResponseParser, reference: Reference, encoder: HarmonyEncoding, written: str
) -> None:
    assume([part.value for part in completion.parts_of(written)] == parts_of(written))  # no marker in the bodies
    ids = _ids(parts_of(written), encoder)
    parsed = parser.parse(ids)

    ours = [
        {"role": m.role, "channel": m.channel, "recipient": m.recipient, "content_type": m.content_type}
        | {"content": m.content}
        for m in parsed.messages
    ]
    assert ours == reference.parse(ids)
    assert parser.parse(reference.decode(ids)).messages == parsed.messages


@given(parts=any_parts)
def test_any_ids_at_all_give_what_the_server_makes_of_them(
    parser: ResponseParser, encoder: HarmonyEncoding, parts: list[Part]
) -> None:
    ids = _ids(parts, encoder)
    parsed = parser.parse(ids)
    streamed = parse(one_frame_each(parts))

    if parts[-2:] != [tokens.START, "assistant"]:
        assert list(parsed.messages) == streamed.messages
        assert parsed.metadata.recovered == streamed.recovered
    assert parsed.metadata.tokens is not None
    assert parsed.metadata.tokens.total <= len(ids)


def test_a_marker_spelled_in_ordinary_tokens_is_text_among_ids_and_a_marker_in_text(
    parser: ResponseParser, encoder: HarmonyEncoding
) -> None:
    ids = [tokens.CHANNEL, *encoder.encode("final"), tokens.MESSAGE, *encoder.encode("Write <|end|>."), tokens.RETURN]

    assert parser.parse(ids).final == "Write <|end|>."
    assert parser.parse(encoder.decode(ids)).messages[0].content == "Write "


def test_every_token_is_counted_once(parser: ResponseParser, encoder: HarmonyEncoding) -> None:
    invented = "<|start|>user<|message|>And Oslo?<|end|>"
    ids = _ids(parts_of(WHOLE_TURN + invented), encoder)
    counts = parser.parse(ids).metadata.tokens

    assert counts is not None
    assert counts.reasoning == len(encoder.encode("They ask for the weather."))
    assert counts.content == len(encoder.encode("Let me look."))
    assert counts.tool_calls == len(encoder.encode('{"city":"Tokyo"}'))
    assert counts.hidden == len(encoder.encode("And Oslo?"))
    assert counts.total == len(ids)


def test_what_was_begun_in_the_prompt_is_part_of_the_message(parser: ResponseParser, encoder: HarmonyEncoding) -> None:
    builder = PromptBuilder(encoder)
    prompt = builder.build((message("user", "Count"), message("assistant", "one, two,")))

    parsed = parser.parse([*encoder.encode(" three"), tokens.RETURN], opening=prompt.opening)

    assert parsed.final == "one, two, three"
    assert parser.parse("4<|return|>", opening=Opening("final")).final == "4"


def test_a_conversation_is_read_from_its_first_message_on(parser: ResponseParser, encoder: HarmonyEncoding) -> None:
    prompt = PromptBuilder(encoder).build(
        (message("user", "2+2?"), message("assistant", "4"), message("user", "And 3+3?"))
    )
    parsed = parser.parse(prompt.ids)

    assert parsed.messages == prompt.messages
    assert parsed.final == "4"
    assert parsed.metadata.recovered == {}


def test_a_cut_off_completion_has_no_end() -> None:
    parsed = ResponseParser().parse("<|channel|>analysis<|message|>I think that")

    assert (parsed.analysis, parsed.metadata.end) == ("I think that", None)


def test_text_without_any_marker_is_the_answer() -> None:
    assert extract_final_only("It is 4.") == "It is 4."
    assert extract_channel("It is 4.", "final") == ""


def test_nothing_gives_nothing(parser: ResponseParser) -> None:
    for nothing in ("", []):
        parsed = parser.parse(nothing)
        assert (parsed.final, parsed.messages, parsed.metadata.end, parsed.channels) == ("", (), None, {})


def test_channels_are_extracted_without_the_calls_in_them() -> None:
    text = WHOLE_TURN.replace("<|call|>", "<|end|>") + "<|start|>assistant<|channel|>final<|message|>Sunny.<|return|>"

    assert extract_final_only(text) == "Sunny."
    assert extract_channel(text, "analysis") == "They ask for the weather."
    assert extract_channel(text, "commentary") == "Let me look."
    assert extract_channel(text, "final") == "Sunny."
    assert extract_channel(text, "thoughts") == ""


@pytest.mark.parametrize(
    "tool", ["f", FunctionTool("f"), {"type": "function", "function": {"name": "f"}}], ids=["name", "tool", "dict"]
)
def test_a_bare_recipient_is_a_call_if_the_tool_was_offered(tool: Any) -> None:
    written = "<|channel|>commentary to=f <|constrain|>json<|message|>{}<|call|>"

    assert ResponseParser(tools=[tool]).parse(written).tool_calls == (ParsedCall("f", "{}"),)
    assert ResponseParser().parse(written).tool_calls == ()


def test_calls_have_ids_of_their_own_and_go_back_into_the_chat(encoder: HarmonyEncoding) -> None:
    numbers = iter(range(5))
    parsed = ResponseParser(new_call_id=lambda: f"call_{next(numbers)}").parse(
        WHOLE_TURN.replace("<|call|>", "<|end|>") + WHOLE_TURN[WHOLE_TURN.index("<|start|>assistant to=") :]
    )

    assert [call.id for call in parsed.tool_calls] == ["call_0", "call_1"]
    assert parsed.as_message() == {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning_content": "They ask for the weather.",
        "tool_calls": [
            {
                "id": f"call_{n}",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Tokyo"}'},
            }
            for n in range(2)
        ],
    }
    assert ResponseParser().parse("").as_message() == {"role": "assistant", "content": ""}
    first, second = ResponseParser().parse(WHOLE_TURN), ResponseParser().parse(WHOLE_TURN)
    assert first.tool_calls[0].id != second.tool_calls[0].id


def test_arguments_that_are_no_json_are_given_as_they_are() -> None:
    call = ResponseParser().parse("<|channel|>commentary to=functions.f json<|message|>{oops<|call|>").tool_calls[0]

    assert call.arguments == "{oops"
    with pytest.raises(ValueError, match="Expecting"):
        call.json()


def test_ids_need_an_encoder() -> None:
    with pytest.raises(TypeError, match="encoder"):
        ResponseParser().parse([5])


def test_eight_threads_parse_the_same(parser: ResponseParser, encoder: HarmonyEncoding) -> None:
    completions = [_ids(parts_of(WHOLE_TURN.replace("Tokyo", f"City {n}")), encoder) for n in range(50)]
    alone = [parser.parse(ids) for ids in completions]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: [parser.parse(ids) for ids in completions], range(8)))

    assert together == [alone] * 8
