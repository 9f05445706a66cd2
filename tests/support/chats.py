"""Generated chats, tools and channel messages."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from lemonade_like.harmony.messages import ChatMessage, FunctionTool, TextPart, ToolCall

#: Text with what matters here: spelled-out control tokens, characters that span tokens, whitespace of all kinds.
texts = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "<|end|>",
                "<|start|>assistant",
                "<|channel|>final<|message|>",
                "🙂",
                "漢字",
                "é",
                "\n\n",
                " ",
                "hello",
                "{}",
            ]
        ),
        max_size=6,
    ).map("".join),
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
described = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
#: A tool's own description may have several lines; openai-harmony comments each.
paragraphs = st.lists(described, max_size=3).map("\n".join)
#: With few digits: the library reads others off by one in the last.
_numbers = st.integers(-(10**9), 10**9) | st.builds(
    lambda digits, exponent: float(f"{digits}e{exponent}"), st.integers(-9_999, 9_999), st.integers(-12, 18)
)


def _scalars() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["string", "number", "integer", "boolean"])},
            optional={"description": described, "title": described, "format": names, "minimum": st.integers(0, 9)},
        ),
        st.fixed_dictionaries(
            {"type": st.just("string")},
            optional={"default": described, "examples": st.lists(described, max_size=2), "nullable": st.booleans()},
        ),
        st.fixed_dictionaries({"type": st.just("number"), "default": _numbers}),
        st.fixed_dictionaries({"type": st.lists(st.sampled_from(_SCALARS), min_size=1, max_size=2, unique=True)}),
        st.lists(names, min_size=1, max_size=3).flatmap(
            lambda values: st.fixed_dictionaries(
                {"type": st.just("string"), "enum": st.just(values)},
                optional={"default": st.sampled_from(values), "description": described},
            )
        ),
        st.fixed_dictionaries({"oneOf": st.lists(_variants, min_size=1, max_size=3)}, optional={"title": described}),
    )


_SCALARS = ("string", "number", "integer", "boolean", "null")
_variants = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "number", "integer", "boolean"])},
    optional={"description": described, "default": names},
)


def _objects(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(names, children, max_size=3)
    return properties.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.just(chosen)},
            optional={
                "required": st.lists(st.sampled_from(sorted(chosen)), unique=True) if chosen else st.just([]),
                "description": described,
                "additionalProperties": st.booleans(),
            },
        )
    )


def _arrays() -> st.SearchStrategy[dict[str, Any]]:
    items = st.sampled_from(["string", "number", "boolean"]).map(lambda kind: {"type": kind})
    return st.fixed_dictionaries({"type": st.just("array"), "items": items})


#: Schemas for which openai-harmony prints what they say; for others ours says more.
schemas = _objects(st.recursive(_scalars() | _arrays(), _objects, max_leaves=4))
tools = st.builds(FunctionTool, names, paragraphs, st.none() | schemas)
tool_lists = st.lists(tools, max_size=3, unique_by=lambda tool: tool.name).map(tuple)


def message(role: Any, text: str, **more: Any) -> ChatMessage:
    """A chat message with one text."""
    return ChatMessage(role, (TextPart(text),) if text else (), **more)


@st.composite
def chats(draw: st.DrawFn) -> tuple[ChatMessage, ...]:
    """A well-formed chat that ends with the user or with tool results."""
    messages = [message("system", text) for text in draw(st.lists(texts, max_size=2))]
    for number in range(draw(st.integers(1, 3))):
        messages.append(message("user", draw(texts)))
        if draw(st.booleans()):
            called = draw(st.lists(names, min_size=1, max_size=2))
            calls = tuple(ToolCall(f"call_{number}_{place}", name, "{}") for place, name in enumerate(called))
            messages.append(message("assistant", draw(texts), reasoning=draw(texts), tool_calls=calls))
            messages += [message("tool", draw(texts), tool_call_id=call.id) for call in calls]
        if draw(st.booleans()):
            messages.append(message("assistant", draw(texts.filter(bool)), reasoning=draw(texts)))
            messages.append(message("user", draw(texts)))
    return tuple(messages)


_recipients = st.sampled_from(["python", "browser.search", "functions.f", "functions.get_weather"])
_content_types = st.none() | st.sampled_from(["json", "code", "text", "<|constrain|>json", "<|constrain|>"])


@st.composite
def native_chats(draw: st.DrawFn) -> tuple[ChatMessage, ...]:
    """A chat of a client that speaks Harmony itself: channels, recipients and content types on its messages."""
    messages = [message("system", text) for text in draw(st.lists(texts, max_size=1))]
    for _ in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            messages.append(message("developer", draw(texts.filter(bool)), channel=draw(st.none() | st.just("final"))))
        messages.append(message("user", draw(texts), name=draw(st.none() | names), content_type=draw(_content_types)))
        if draw(st.booleans()):
            recipient, channel = draw(_recipients), draw(st.sampled_from(["analysis", "commentary"]))
            called = message(
                "assistant", draw(texts), channel=channel, recipient=recipient, content_type=draw(_content_types)
            )
            result = message(
                "tool",
                draw(texts),
                name=recipient,
                recipient=draw(st.none() | st.just("assistant")),
                channel=draw(st.none() | st.just(channel)),
                content_type=draw(_content_types),
            )
            messages += [called, result]
        channel = draw(st.none() | st.sampled_from(["analysis", "commentary", "final"]))
        messages.append(
            message("assistant", draw(texts.filter(bool)), channel=channel, content_type=draw(_content_types))
        )
    return (*messages, message("user", draw(texts)))
