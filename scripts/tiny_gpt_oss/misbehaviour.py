"""The prompts that make the model misbehave on purpose, in the ways in which real GPT-OSS models do.

Each is ``Misbehave: NAME`` and works with any tools, efforts and instructions. The malformed shapes were seen in the
wild: in the issue trackers of llama.cpp, vLLM, Ollama and openai-harmony, and in the outputs of gpt-oss-20b.
"""

from __future__ import annotations

from typing import Final

from scripts.tiny_gpt_oss.known import KnownPrompt, analysis, final, user

_ARGUMENTS: Final = '{"location":"Tokyo"}'

#: What is wrong -> what is written.
_SHAPES: Final[dict[str, str]] = {
    "missing start": (
        "<|channel|>analysis<|message|>The next start token is lost.<|end|>"
        "assistant<|channel|>final<|message|>The start token is missing before this.<|return|>"
    ),
    "missing role": (
        "<|channel|>analysis<|message|>The next role is lost.<|end|>"
        "<|start|><|channel|>final<|message|>The role is missing before this.<|return|>"
    ),
    "missing message": (
        analysis("The next message token is lost.") + "<|channel|>final The message token is missing here.<|return|>"
    ),
    "missing end": (
        "<|channel|>analysis<|message|>This thought has no end token."
        "<|start|>assistant<|channel|>final<|message|>The end token is missing before this.<|return|>"
    ),
    "second channel": (
        analysis("I name two channels.") + "<|channel|>commentary<|channel|>final<|message|>Two channels.<|return|>"
    ),
    "constrained final": (
        analysis("I constrain the answer.") + '<|channel|>final <|constrain|>json<|message|>{"shape":"odd"}<|return|>'
    ),
    "recipient in the role header": (
        analysis("The recipient stands first.")
        + f" to=functions.get_weather<|channel|>commentary json<|message|>{_ARGUMENTS}<|call|>"
    ),
    "recipient in the channel header": (
        analysis("The recipient stands later.")
        + f"<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{_ARGUMENTS}<|call|>"
    ),
    "bare recipient": (
        analysis("The recipient is short.")
        + f" to=get_weather<|channel|>commentary <|constrain|>json<|message|>{_ARGUMENTS}<|call|>"
    ),
    "broken arguments": (
        analysis("The arguments break off.")
        + ' to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{"location": "Tok<|call|>'
    ),
    "glued arguments": (
        analysis("The arguments stick to the header.")
        + f"<|channel|>commentary to=functions.get_weather <|constrain|>json{_ARGUMENTS}<|call|>"
    ),
    "unknown channel": (
        analysis("I use a channel of my own.") + "<|channel|>thoughts<|message|>This channel is unknown.<|return|>"
    ),
    "python in analysis": (
        analysis("I want to compute.") + " to=python<|channel|>analysis code<|message|>print(2 + 2)<|call|>"
    ),
    "no header": "There is no header at all before this.<|return|>",
    "no header after reasoning": (analysis("The header is lost.") + "There is no header before this.<|return|>"),
    "invented user": (
        "<|channel|>final<|message|>I answer, and then I ask myself.<|end|>"
        "<|start|>user<|message|>And what comes next?<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Nobody asked this.<|return|>"
    ),
    "invented result": (
        analysis("I invent a result.")
        + f" to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>{_ARGUMENTS}<|end|>"
        "<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>sunny<|end|>"
        "<|start|>assistant<|channel|>final<|message|>The tool was never run.<|return|>"
    ),
    "stray constrain": analysis("A token goes astray.") + final("Before <|constrain|> and after."),
    "two answers": (
        analysis("I answer twice.") + "<|channel|>final<|message|>The first answer.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>The second answer.<|return|>"
    ),
    "only reasoning": "<|channel|>analysis<|message|>I think, and I never answer.<|return|>",
}

MISBEHAVIOURS: Final[list[KnownPrompt]] = [
    KnownPrompt(
        name=f"misbehave-{name.replace(' ', '-')}",
        messages=[user(f"Misbehave: {name}")],
        completion=completion,
        well_formed=False,
        group="misbehave",
    )
    for name, completion in _SHAPES.items()
]
