"""What ``lemonade_like`` gives to Python users: light to import, bound to the bundled vocabulary."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lemonade_like
from lemonade_like import PromptBuilder, ResponseParser, library
from lemonade_like.errors import HarmonyUnavailable
from lemonade_like.harmony import encoding
from lemonade_like.harmony.conversation import ConversationError, SystemMessage, build_conversation
from lemonade_like.harmony.messages import FunctionTool
from lemonade_like.harmony.renderer import Renderer
from tests.support.chats import message

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TOOL_LOOP: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather in Tokyo?"}]},
    {
        "role": "assistant",
        "content": None,
        "thinking": "I must look.",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Tokyo"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "Sunny."},
]


@pytest.fixture
def builder(cache_dir: Path) -> PromptBuilder:
    return PromptBuilder(cache_dir=cache_dir, current_date="2026-01-31")


def test_importing_the_package_imports_nothing_that_an_engine_does_not_need() -> None:
    heavy = "openai_harmony, pydantic, httpx, aiohttp, fastapi, typer, lemonade_like.settings, lemonade_like.harmony"
    script = f"import sys, lemonade_like; print([m for m in {heavy.split(', ')!r} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_every_name_that_the_package_offers_is_there() -> None:
    for name in lemonade_like.__all__:
        assert getattr(lemonade_like, name) is not None
        assert name in dir(lemonade_like)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        lemonade_like.Nonsense  # noqa: B018


def test_openais_dicts_are_read_as_the_server_reads_them(builder: PromptBuilder, renderer: Renderer) -> None:
    prompt = builder.build(TOOL_LOOP, tools=[WEATHER])

    function: Any = WEATHER["function"]
    tool = FunctionTool("get_weather", "The weather.", function["parameters"])
    chat, *_ = library.read_openai(TOOL_LOOP, ())
    conversation = build_conversation(chat, SystemMessage("medium", "2026-01-31"), [tool])
    assert prompt.ids == renderer.render_for_completion(conversation).ids
    assert (
        "<|start|>assistant<|channel|>analysis<|message|>I must look.<|end|>"
        "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json"
        '<|message|>{"city":"Tokyo"}<|call|>'
        "<|start|>functions.get_weather to=assistant<|channel|>commentary<|message|>Sunny.<|end|><|start|>assistant"
    ) in prompt.text


@pytest.mark.parametrize("field", ["thinking", "reasoning", "reasoning_content"])
def test_reasoning_may_stand_in_any_field_that_clients_use(builder: PromptBuilder, field: str) -> None:
    chat = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4", field: "Two and two."}]

    assert builder.build_for_training(chat).text.endswith(
        "<|start|>assistant<|channel|>analysis<|message|>Two and two.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>4<|return|>"
    )


def test_dicts_and_messages_may_be_mixed(builder: PromptBuilder) -> None:
    mixed = [TOOL_LOOP[0], message("user", "Weather in Tokyo?"), *TOOL_LOOP[2:]]
    tools = [FunctionTool("a"), WEATHER, FunctionTool("b")]

    assert builder.build(mixed).ids == builder.build(TOOL_LOOP).ids
    text = builder.build(mixed, tools=tools).text
    assert text.index("type a ") < text.index("type get_weather ") < text.index("type b ")


def test_tools_are_read_without_any_dict_beside_them(builder: PromptBuilder) -> None:
    assert "type get_weather" in builder.build([message("user", "Hi")], tools=[WEATHER]).text
    assert "type get_weather" in builder.build([], tools=[WEATHER]).text


@pytest.mark.parametrize("reading", [True, False])
def test_the_model_is_told_the_response_format_as_the_server_tells_it(builder: PromptBuilder, reading: bool) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "description": "A city.", "schema": {"a": 1}}}
    section = '# Response Formats\n\n## city\n\n// A city.\n{"a":1}'
    given: Any = wanted if reading else section
    finished = [*TOOL_LOOP, {"role": "assistant", "content": "{}"}]

    for chat, build in ((TOOL_LOOP, builder.build), (finished, builder.build_for_training)):
        text = build(chat, response_format=given).text
        assert f"<|start|>developer<|message|># Instructions\n\nBe brief.\n\n{section}<|end|>" in text
        assert "# Response Formats" not in build(chat).text
    with pytest.raises(ConversationError) as refused:
        builder.build(TOOL_LOOP, response_format={"type": "json"})
    assert refused.value.param == "response_format.type"


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        ([message("user", "Hi"), {"role": "wizard", "content": "Hi"}], "messages[1].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "tool", "tool_call_id": "9", "content": "4"}], "messages[0].tool_call_id"),
        ([{"role": "user", "content": "Hi", "thinking": "Hm."}], "messages[0]"),
        (["Hi"], "messages[0]"),
    ],
)
def test_what_the_server_would_refuse_is_refused_by_name(builder: PromptBuilder, chat: Any, param: str) -> None:
    with pytest.raises(ConversationError) as refused:
        builder.build(chat)
    assert refused.value.param == param


def test_what_was_parsed_goes_back_into_the_chat(builder: PromptBuilder, cache_dir: Path) -> None:
    written = (
        "<|channel|>analysis<|message|>I must look.<|end|><|start|>assistant to=functions.get_weather"
        '<|channel|>commentary <|constrain|>json<|message|>{"city":"Tokyo"}<|call|>'
    )
    parsed = ResponseParser(tools=[WEATHER], cache_dir=cache_dir).parse(written)
    result = {"role": "tool", "tool_call_id": parsed.tool_calls[0].id, "content": "Sunny."}

    assert builder.build([*TOOL_LOOP[:2], parsed.as_message(), result]).ids == builder.build(TOOL_LOOP).ids


def test_ids_are_parsed_with_the_bundled_vocabulary(builder: PromptBuilder, cache_dir: Path) -> None:
    prompt = builder.build(TOOL_LOOP)

    assert ResponseParser(cache_dir=cache_dir).parse(prompt.ids).messages == prompt.messages


def test_text_needs_no_vocabulary(tmp_path: Path) -> None:
    parser = ResponseParser(cache_dir=tmp_path / "cache")

    assert parser.parse("<|channel|>final<|message|>4<|return|>").final == "4"
    assert not (tmp_path / "cache").exists()


def test_the_users_cache_is_the_default(cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMONADE_LIKE_CACHE_DIR", str(cache_dir))
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))

    assert PromptBuilder().build([message("user", "Hi")]).ids


def test_eight_threads_share_one_vocabulary(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    load = encoding.HarmonyEncoding.load

    def counted(folder: Path) -> encoding.HarmonyEncoding:
        loaded.append(folder)
        return load(folder)

    monkeypatch.setattr(encoding.HarmonyEncoding, "load", counted)
    library._load.cache_clear()

    def ids(_: int) -> list[int]:
        return PromptBuilder(cache_dir=cache_dir, current_date=None).build(TOOL_LOOP).ids

    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(ids, range(8)))

    assert all(one == built[0] for one in built)
    assert len(loaded) == 1


def test_an_encoding_that_cannot_be_had_says_what_to_do(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(folder: Path) -> encoding.HarmonyEncoding:
        raise encoding.HarmonyUnavailable("openai-harmony is not installed. Install it with: pip install …")

    monkeypatch.setattr(encoding.HarmonyEncoding, "load", missing)
    library._load.cache_clear()

    with pytest.raises(HarmonyUnavailable, match="pip install"):
        PromptBuilder(cache_dir=cache_dir).build([message("user", "Hi")])
