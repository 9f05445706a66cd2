"""What a turn's output is held to: decides whether a grammar is needed, and which."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.errors import BadRequest
from lemonade_like.harmony.grammar import FREE_TEXT, Skeleton
from lemonade_like.turns.gbnf.grammar import ANY_OBJECT, MAX_SCHEMA_BYTES, JsonGrammar, check_schema, schema_grammar
from lemonade_like.turns.gbnf.rules import JSON_RULES, SchemaError

if TYPE_CHECKING:
    from lemonade_like.harmony.conversation import Opening
    from lemonade_like.harmony.grammar import Reasoning
    from lemonade_like.harmony.messages import FunctionTool
    from lemonade_like.turns.request import ResponseFormat, TurnRequest

#: Larger schemas are converted beside the event loop.
_LARGE_SCHEMA: Final = 2_000


async def constraint(request: TurnRequest, opening: Opening, *, reasons: bool) -> str | None:
    """Return the grammar for a turn, or ``None`` if it is free.

    ``reasons`` is whether the model may reason at all. Several things at once are one grammar.

    Raises:
        BadRequest: a schema cannot be enforced, or the prompt has begun an answer that must not be free.
    """
    callable_tools = request.callable_tools
    required = request.tool_choice == "required"
    wanted = request.response_format
    restricted = request.tool_choice == "auto" and (
        len(callable_tools) < len(request.tools) or any(tool.strict for tool in callable_tools)
    )
    silent = not reasons and opening.channel != "final"
    # The engine counts anew where reasoning begins again, so a budget needs a shape in which it does not.
    budgeted = request.reasoning_budget is not None and (reasons or opening.channel != "final")
    if not (required or wanted or restricted or silent or budgeted):
        return None
    _check_opening(request, opening)

    grammars: dict[str, JsonGrammar] = {}
    answer: str | None = None if required else FREE_TEXT
    if wanted is not None and not required:
        grammar = await _answer_grammar(wanted)
        grammars[grammar.root] = grammar
        answer = grammar.root
    calls: dict[str, str] = {}
    for tool in callable_tools:
        calls[tool.name] = FREE_TEXT
        if required or tool.strict:
            grammar = await _arguments_grammar(tool)
            grammars[grammar.root] = grammar
            calls[tool.name] = grammar.root
    reasoning: Reasoning = "none" if not reasons else "once" if request.reasoning_budget is not None else "free"
    rules = "".join(grammar.rules for grammar in grammars.values())
    return Skeleton(
        answer,
        calls,
        parallel_calls=request.parallel_tool_calls,
        reasoning=reasoning,
        started=opening.channel,
        rules=JSON_RULES + rules if grammars else "",
    ).grammar()


async def format_grammar(wanted: ResponseFormat) -> str:
    """Return the grammar of an output that is nothing but an answer in that format. Raises ``BadRequest``."""
    grammar = await _answer_grammar(wanted)
    return f"root ::= {grammar.root}\n{JSON_RULES}{grammar.rules}"


async def check_format(wanted: ResponseFormat | None) -> None:
    """Check the schema of a format that the engine itself enforces. Raises ``BadRequest`` where it is wrong."""
    if wanted is None:
        return
    try:
        await asyncio.to_thread(check_schema, wanted.schema)
    except SchemaError as error:
        raise _refusal(error, wanted.param) from None


def told_format(wanted: ResponseFormat | None) -> str:
    """Return the section of the developer message that tells the model the format; empty without one.

    Source: the "Structured output" section of the Harmony response format guide. Raises ``BadRequest`` for a schema
    that is too large, or nests too deeply to be written.
    """
    if wanted is None:
        return ""
    description = "".join(f"// {line}\n" for line in wanted.description.splitlines())
    schema = _json(wanted.schema, wanted.param)
    if len(schema) > MAX_SCHEMA_BYTES:
        raise BadRequest(
            f"'{wanted.param}' has {len(schema)} characters, but may have {MAX_SCHEMA_BYTES} at most.",
            param=wanted.param,
            code="invalid_json_schema",
        )
    return f"# Response Formats\n\n## {wanted.name}\n\n{description}{schema}"


def _check_opening(request: TurnRequest, opening: Opening) -> None:
    if opening.channel != "final":
        return
    if request.tool_choice == "required":
        field, what = "tool_choice", "requires a call"
    elif request.response_format is not None and opening.body:
        field, what = "response_format", "wants the whole answer in its form"
    else:
        return
    raise BadRequest(
        f"'{field}' {what}, but the last message is an answer that has begun already. Leave one of them out.",
        param=field,
        code="invalid_value",
    )


async def _answer_grammar(wanted: ResponseFormat) -> JsonGrammar:
    return await _converted(wanted.schema, strict=wanted.strict, param=wanted.param)


async def _arguments_grammar(tool: FunctionTool) -> JsonGrammar:
    if tool.parameters is None:
        return ANY_OBJECT
    # Arguments are an object, whether or not the schema says so.
    param = f"tools[{tool.index}].function.parameters"
    return await _converted(tool.parameters, strict=tool.strict, object_only=True, param=param)


async def _converted(schema: Any, *, strict: bool, param: str, object_only: bool = False) -> JsonGrammar:
    large = len(_json(schema, param)) > _LARGE_SCHEMA
    try:
        if large:
            return await asyncio.to_thread(schema_grammar, schema, strict=strict, object_only=object_only)
        return schema_grammar(schema, strict=strict, object_only=object_only)
    except SchemaError as error:
        raise _refusal(error, param) from None


def _json(schema: Any, param: str) -> str:
    try:
        return orjson.dumps(schema).decode()
    except TypeError as error:
        raise BadRequest(f"'{param}' cannot be written: {error}.", param=param, code="invalid_json_schema") from None


def _refusal(error: SchemaError, param: str) -> BadRequest:
    where = param + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
    pointer = "#" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.path)
    return BadRequest(f"'{where}' ({pointer} of the schema) {error}.", param=where, code=f"{error.kind}_json_schema")
