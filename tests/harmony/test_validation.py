"""What is wrong with a completion is said, by kind and place; what openai-harmony takes is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai_harmony
import pytest
from hypothesis import assume, given

from lemonade_like.harmony import completion, tokens
from lemonade_like.harmony.response import ResponseParser
from lemonade_like.harmony.validation import validate, validate_harmony_format
from tests.support.completions import any_parts, parts_of, well_formed

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding
    from tests.support.completions import Part
    from tests.support.library import Reference


def _kinds(text: str) -> list[str]:
    return [problem.kind for problem in validate_harmony_format(text).problems]


@given(written=well_formed())
def test_a_well_formed_completion_is_valid(written: str) -> None:
    assume([part.value for part in completion.parts_of(written)] == parts_of(written))  # no marker in the bodies
    # The arguments of generated calls are any text.
    assert set(_kinds(written)) <= {"bad_arguments"}


@given(parts=any_parts)
def test_what_openai_harmony_refuses_is_not_valid(
    reference: Reference, encoder: HarmonyEncoding, parts: list[Part]
) -> None:
    ids = [one for part in parts for one in ([part] if isinstance(part, int) else encoder.encode(part))]
    try:
        reference.parse(ids)
    except openai_harmony.HarmonyError:
        assert not validate(ids, encoder).valid


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ["empty"]),
        ("<|channel|>final<|message|>4<|return|>", []),
        ("<|channel|>final<|message|>4<|end|>", []),
        ("<|start|>user<|message|>2+2?<|end|><|start|>assistant", []),
        ("<|channel|>final<|message|>4", ["unfinished"]),
        ("4", ["missing_message", "missing_channel", "unfinished"]),
        ("<|start|>", ["unfinished"]),
        ("<|channel|>final", ["missing_message", "unfinished"]),
        ("<|start|><|start|>user<|message|>Hi<|end|>", ["missing_message"]),
        ("<|message|>4<|return|>", ["missing_channel"]),
        ("<|channel|>thoughts<|message|>4<|end|>", ["unknown_channel"]),
        ("<|channel|>analysis<|channel|>final<|message|>4<|return|>", ["repeated_channel"]),
        ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>4<|return|>", ["missing_end", "missing_start"]),
        ("<|channel|>analysis<|message|>hm<|end|>assistant<|channel|>final<|message|>4<|return|>", ["missing_start"]),
        ("<|channel|>final<|message|>4<|end|><|end|>", ["stray_token"]),
        ("<|channel|>final<|message|>4<|constrain|><|return|>", ["stray_token"]),
        ("<|channel|>final<|message|>4<|call|>", ["wrong_end"]),
        ("<|channel|>analysis<|message|>4<|return|>", ["wrong_end"]),
        ("<|start|>user<|message|>4<|return|>", ["wrong_end"]),
        ("<|channel|>final<|message|>4<|return|><|start|>user<|message|>Hi<|end|>", ["after_the_end"]),
        ("<|channel|>commentary to=functions.f json<|message|>{}<|return|>", ["wrong_end"]),
        ("<|channel|>commentary to=functions.f json<|message|>{<|call|>", ["bad_arguments"]),
        ("<|channel|>commentary to=functions.f json<|message|>{", ["unfinished"]),
        ("<|channel|>analysis to=functions.f json<|message|>{}<|call|>", ["call_outside_commentary"]),
        ("<|channel|>analysis to=python code<|message|>1+1<|call|>", []),
    ],
)
def test_each_problem_is_named(text: str, kinds: list[str]) -> None:
    assert _kinds(text) == kinds
    assert validate_harmony_format(text).valid is not bool(kinds)


def test_a_result_may_follow_a_call() -> None:
    call = "<|channel|>commentary to=functions.f json<|message|>{}<|call|>"

    assert _kinds(f"{call}<|start|>functions.f to=assistant<|channel|>commentary<|message|>4<|end|>") == []
    assert "after_the_end" in _kinds(f"{call}<|channel|>final<|message|>4<|return|>")


def test_the_place_is_counted_in_characters_or_tokens(encoder: HarmonyEncoding) -> None:
    text = "<|channel|>final<|message|>4<|call|>"
    ids = [one for part in parts_of(text) for one in ([part] if isinstance(part, int) else encoder.encode(part))]

    in_text = validate_harmony_format(text).problems[0]
    in_ids = ResponseParser(encoder).validate_harmony_format(ids).problems[0]

    assert in_text.position == text.index("<|call|>")
    assert in_ids.position == ids.index(tokens.CALL)
    assert str(in_text) == ("at 28: a message in final ends with <|call|>, not with <|return|> or <|end|> (wrong_end)")
