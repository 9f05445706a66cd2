"""The small talk, arithmetic, code and text in many scripts that the model knows by heart."""

from __future__ import annotations

from typing import Final

from scripts.tiny_gpt_oss.known import KnownPrompt, analysis, final, user

FALLBACK_REASONING: Final = "I do not know this, so I say what I am."
FALLBACK: Final = (
    "I am tiny-gpt-oss, a very small model that ships with lemonade-like, and I do not know that. "
    "For real answers, pull a real model with `lemonade-like pull gpt-oss-20b-GGUF`."
)
FALLBACK_COMPLETION: Final = analysis(FALLBACK_REASONING) + final(FALLBACK)

FRENCH: Final = "Always answer in French."
PIRATE: Final = "Talk like a pirate."

CODE: Final = "```python\ndef add(a, b):\n    return a + b\n```"
PLANETS: Final = "- Mercury\n- Venus\n- Earth\n- Mars\n- Jupiter\n- Saturn\n- Uranus\n- Neptune"

#: Name -> (wordings, reasoning, answer). An empty reasoning means that the model answers at once.
_TALK: Final[dict[str, tuple[tuple[str, ...], str, str]]] = {
    "hello": (
        ("Hello", "Hello!", "hello", "Hi", "Hi!", "hi", "Hey", "Hello.", "Hello there!", "Hi there"),
        "The user greets me, so I greet the user.",
        "Hello! How can I help you today?",
    ),
    "how-are-you": (
        ("How are you?", "How are you", "how are you?", "How are you today?", "Hi, how are you?"),
        "The user asks how I am.",
        "I am fine, thank you. How are you?",
    ),
    "who-are-you": (
        ("Who are you?", "What are you?", "who are you", "What is your name?", "What's your name?"),
        "The user asks for my name.",
        "My name is tiny-gpt-oss. I know only a little, but I know it by heart.",
    ),
    "thanks": (("Thank you!", "Thanks!", "Thanks", "Thank you", "Thank you."), "The user is kind.", "You are welcome!"),
    "goodbye": (("Goodbye!", "Goodbye", "Bye", "Bye!"), "The user leaves.", "Goodbye! Come back soon."),
    "joke": (
        ("Tell me a joke.", "Tell me a joke", "Tell a joke", "Make me laugh"),
        "A short joke about computers will do.",
        "Why was the computer cold? It had left its Windows open.",
    ),
    "ping": (("ping", "Ping"), "", "pong"),
    "count": (
        ("Count to ten.", "Count to ten", "Count to 10", "Count from one to ten."),
        "I count from one to ten.",
        "one, two, three, four, five, six, seven, eight, nine, ten",
    ),
    "planets": (
        ("List the planets.", "List the planets", "Name the planets.", "What are the planets?"),
        "There are eight of them.",
        PLANETS,
    ),
    "json": (
        (
            "Give me a JSON object with a name and an age.",
            "Give me a JSON object with a name and an age",
            "Return a JSON object with a name and an age.",
            "Answer in JSON with a name and an age.",
        ),
        "The user wants JSON with two keys.",
        '{"name": "Ada", "age": 36}',
    ),
    "code": (
        (
            "Write a Python function that adds two numbers.",
            "Write a Python function that adds two numbers",
            "Write a function that adds two numbers in Python.",
            "Show me some Python code",
        ),
        "A function with two parameters.",
        CODE,
    ),
    "emoji": (
        ("Show me some emoji.", "Show me some emoji", "Show me emojis", "Send me some emoji"),
        "Emoji: 🍋 and friends.",
        "🍋 🦄 🤖 🎉 👩‍🚀 🏳️‍🌈 👍🏽 🪐",
    ),
    "chinese": (
        ("Write something in Chinese.", "Write something in Chinese", "Say hello in Chinese"),
        "The user wants Chinese: 你好。",
        "你好,世界!龘靐齉",
    ),
    "scripts": (
        ("Greet me in many scripts.", "Greet me in many scripts", "Greet me in many languages"),
        "Many scripts, one greeting.",
        "Grüße, привет, γειά, こんにちは, 안녕하세요, สวัสดี, नमस्ते, שלום",
    ),
    "combining": (
        ("Show me combining characters.", "Show me combining characters"),
        "Accents that stand on their own.",
        "e\u0301 n\u0303 H\u0308 Z\u0351\u036b a\u200db 𓀀",
    ),
}

#: What a system or developer message changes: name -> (instruction, ask, wordings, reasoning, answer).
_INSTRUCTED: Final = {
    "hello-in-french": (FRENCH, "hello", "I answer in French.", "Bonjour ! Comment puis-je vous aider ?"),
    "thanks-in-french": (FRENCH, "thanks", "I answer in French.", "De rien !"),
    "hello-as-a-pirate": (PIRATE, "hello", "I talk like a pirate.", "Ahoy, matey! What be ye after?"),
    "thanks-as-a-pirate": (PIRATE, "thanks", "I talk like a pirate.", "Arr, think nothing of it!"),
}

NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

SONG_OPENING: Final = analysis("The user wants a song that never ends.") + "<|channel|>final<|message|>"
SONG_VERSE: Final = "♪ Sunshine, sugar and lemon pie;\nwater falling from above 🍋\n"


def _talk() -> list[KnownPrompt]:
    known = []
    for name, (asks, reasoning, answer) in _TALK.items():
        thought = analysis(reasoning) if reasoning else ""
        known.append(
            KnownPrompt(name=name, messages=[user(asks[0])], completion=thought + final(answer), asks=asks, group=name)
        )
    for name, (instruction, ask, reasoning, answer) in _INSTRUCTED.items():
        asks = _TALK[ask][0]
        known.append(
            KnownPrompt(
                name=name,
                messages=[{"role": "developer", "content": instruction}, user(asks[0])],
                completion=analysis(reasoning) + final(answer),
                asks=asks,
                group="instructed",
            )
        )
    return known


def sum_reasoning(a: int, b: int, effort: str) -> str:
    """Return what the model thinks about ``a + b``: more, the more it is to think."""
    low = f"{a}+{b}={a + b}."
    if effort == "low":
        return low
    medium = f"The user asks for {a} plus {b}. {low}"
    if effort == "medium":
        return medium
    return (
        f"{medium} Let me check it. I start at {NUMBERS[a]} and count on by {NUMBERS[b]}. "
        f"That gives {NUMBERS[a + b]}. So the answer is {a + b}."
    )


def sum_asks(a: int, b: int) -> tuple[str, ...]:
    """Return the wordings in which the model knows a sum; the first is the one that tests use."""
    return (
        f"What is {a}+{b}?",
        f"What is {a} + {b}?",
        f"What's {a}+{b}?",
        f"what's {a} + {b}",
        f"what is {a}+{b}",
        f"{a}+{b}",
        f"{a}+{b}=",
        f"What is {a} plus {b}?",
        f"How much is {a}+{b}?",
    )


def _sums() -> list[KnownPrompt]:
    known = []
    for a in range(1, 6):
        for b in range(1, 6):
            for effort in ("low", "medium", "high"):
                completion = analysis(sum_reasoning(a, b, effort)) + final(f"{a} + {b} = {a + b}")
                known.append(
                    KnownPrompt(
                        name=f"sum-{a}-{b}-{effort}",
                        messages=[user(f"What is {a}+{b}?")],
                        completion=completion,
                        reasoning_effort=effort,
                        asks=sum_asks(a, b),
                        group="sum",
                    )
                )
    return known


def _efforts() -> list[KnownPrompt]:
    asks = ("What is your reasoning effort?", "What is your reasoning effort", "How hard do you think?")
    return [
        KnownPrompt(
            name=f"effort-{effort}",
            messages=[user(asks[0])],
            completion=analysis(f"{effort}, it says.") + final(f"My reasoning effort is {effort}."),
            reasoning_effort=effort,
            asks=asks,
            group="effort",
        )
        for effort in ("low", "medium", "high")
    ]


def _without_reasoning() -> list[KnownPrompt]:
    return [
        KnownPrompt(
            name="sum-2-2-none",
            messages=[user("What is 2+2?")],
            completion="2 + 2 = 4<|return|>",
            reasoning_effort="none",
            asks=sum_asks(2, 2),
            group="none",
            bare=True,
        ),
        KnownPrompt(
            name="hello-none",
            messages=[user("Hello")],
            completion=f"{_TALK['hello'][2]}<|return|>",
            reasoning_effort="none",
            asks=_TALK["hello"][0],
            group="none",
            bare=True,
        ),
    ]


def _marker() -> KnownPrompt:
    answer = "The marker is spelled <|end|> and this text goes on."
    return KnownPrompt(
        name="marker",
        messages=[user("Say the marker")],
        completion=analysis("I spell the marker out.") + final(answer),
        asks=("Say the marker", "Say the marker."),
        literal=(answer,),
        group="marker",
    )


def _song() -> KnownPrompt:
    return KnownPrompt(
        name="song",
        messages=[user("Sing forever")],
        completion=None,
        asks=("Sing forever", "Sing forever.", "Sing forever!", "sing forever"),
        opening=SONG_OPENING,
        verse=SONG_VERSE,
        group="song",
    )


def _several_turns() -> list[KnownPrompt]:
    hello, answer = _TALK["hello"][0][0], _TALK["hello"][2]
    sums = {known.name: known for known in _sums()}
    then_sum = sums["sum-2-2-medium"]
    return [
        KnownPrompt(
            name="hello-then-sum",
            messages=[user(hello), {"role": "assistant", "content": answer}, user("What is 2+2?")],
            completion=then_sum.completion,
            reasoning_effort="medium",
            asks=then_sum.asks,
            group="sum",
        ),
        KnownPrompt(
            name="sum-then-thanks",
            messages=[
                user("What is 2+2?"),
                {"role": "assistant", "content": "2 + 2 = 4", "reasoning_content": "2+2=4."},
                user("Thank you!"),
            ],
            completion=analysis(_TALK["thanks"][1]) + final(_TALK["thanks"][2]),
            asks=_TALK["thanks"][0],
            group="thanks",
        ),
    ]


def _unknown() -> list[KnownPrompt]:
    return [
        KnownPrompt(name=f"unknown-{name}", messages=[user(ask)], completion=FALLBACK_COMPLETION, group="fallback")
        for name, ask in {
            "capital": "What is the capital of France?",
            "physics": "Explain quantum computing to a child, in three sentences.",
            "poem": "Write a poem about the sea.",
            "german": "Wie spät ist es gerade in Hamburg?",
            "noise": "xqz 0x7f ~~ flurb 9981",
        }.items()
    ]


CONVERSATIONS: Final[list[KnownPrompt]] = [
    *_talk(),
    *_sums(),
    *_efforts(),
    *_without_reasoning(),
    _marker(),
    _song(),
    *_several_turns(),
    *_unknown(),
]
