"""The tools that stand around a conversation, and conversations about other cities."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from scripts.tiny_gpt_oss import noise
from scripts.tiny_gpt_oss.known import ChatJSON, KnownPrompt, user
from scripts.tiny_gpt_oss.tools import (
    BOTH_ANSWER,
    CITIES,
    CONDITIONS,
    GET_TIME,
    GET_WEATHER,
    assistant_call,
    function,
    location,
    parallel_asks,
    parallel_calls,
    parallel_reasoning,
    parameters,
    preamble_asks,
    preamble_call,
    result,
    sequence_asks,
    sequence_first,
    sequence_first_reasoning,
    sequence_second,
    sequence_second_reasoning,
    weather_answer,
    weather_asks,
    weather_call,
    weather_reasoning,
)

if TYPE_CHECKING:
    import random

_DESCRIPTIONS: Final = (
    "Get the current weather in a location.",
    "Get the current weather in a given location.",
    "Get current weather for a location",
    "Get the weather",
    "Get the weather for a city.",
    "Returns the weather in a city",
    "",
)
_LOCATIONS: Final = (
    "The name of a city",
    "City name",
    "The city, e.g. San Francisco, CA",
    "City and country e.g. Bogotá, Colombia",
    None,
)
_OTHERS: Final = (
    GET_TIME,
    function("search", "Search the web.", parameters(("query",), query={"type": "string"})),
    function("calculator", "Compute an expression.", parameters(("expression",), expression={"type": "string"})),
    function(
        "send_email",
        "Send an email.",
        parameters(("to", "subject"), to={"type": "string"}, subject={"type": "string"}, body={"type": "string"}),
    ),
    function("get_stock_price", "Get the price of a stock.", parameters(("symbol",), symbol={"type": "string"})),
)
_NOISE_TYPES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "string", "enum": ["a", "b"]},
)


class Toolbox:
    """Draws tools, results and cities."""

    def __init__(self, rng: random.Random, *, noise: bool) -> None:
        self._rng = rng
        self._noise = noise

    def offer(self, needed: list[str], hidden: str = "") -> list[ChatJSON]:
        """Return a list of tools with all of ``needed`` and without ``hidden``."""
        rng = self._rng
        offered = []
        if "get_weather" in needed:
            offered.append(self._get_weather())
        if "get_time" in needed:
            offered.append(GET_TIME)
        for other in rng.sample(_OTHERS, rng.choice((0, 0, 1, 1, 2, 3)) if needed else rng.choice((1, 1, 2, 3))):
            if other["function"]["name"] not in (*needed, hidden):
                offered.append(other)
        if not needed and hidden != "get_weather" and rng.random() < 0.6:
            offered.append(self._get_weather())
        if self._noise and rng.random() < 0.15:
            offered.append(self._unknown())
        rng.shuffle(offered)
        return offered

    def _get_weather(self) -> ChatJSON:
        rng = self._rng
        if rng.random() < 0.3:
            return GET_WEATHER
        schema: dict[str, Any] = {"type": "string"}
        about = rng.choice(_LOCATIONS)
        if about:
            schema["description"] = about
        properties = {"location": schema}
        if rng.random() < 0.3:
            unit = rng.choice(("unit", "units"))
            properties[unit] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
        description = rng.choice(_DESCRIPTIONS)
        if self._noise and rng.random() < 0.1:
            description = noise.words(rng, 1, 12)
        required = ("location",) if rng.random() < 0.8 else ()
        return function("get_weather", description, parameters(required, **properties))

    def _unknown(self) -> ChatJSON:
        rng = self._rng
        names = ("lookup", "translate", "create_event", "run_query", "open_file", "play_music", "book_flight", "foo")
        properties = {name: rng.choice(_NOISE_TYPES) for name in rng.sample(("x", "name", "path", "limit", "date"), 2)}
        return function(rng.choice(names), noise.words(rng, 1, 15), parameters((), **properties))

    @staticmethod
    def argument_key(offered: list[ChatJSON]) -> str:
        """Return the name of get_weather's parameter."""
        for tool in offered:
            if tool["function"]["name"] == "get_weather":
                return next(iter(tool["function"]["parameters"]["properties"]), "location")
        return "location"

    def weather(self, city: str) -> tuple[str, str | None]:
        """Return a tool's result, and the condition in it if there is one that the model knows."""
        rng = self._rng
        condition = rng.choice(CONDITIONS)
        degrees = rng.randint(-9, 35)
        if rng.random() < 0.15:
            unknown = [
                json.dumps({"error": "timeout"}),
                "error",
                "unknown",
                json.dumps({"temperature": degrees}),
                json.dumps({"temperature": f"{degrees}C"}),
                f"{degrees} degrees",
            ]
            if self._noise:
                unknown += [noise.words(rng, 1, 10), json.dumps({"data": noise.words(rng, 1, 4)})]
            return rng.choice(unknown), None
        known = [
            json.dumps({"temperature": degrees, "condition": condition}),
            json.dumps({"temperature": degrees, "unit": "celsius", "condition": condition}),
            json.dumps({"condition": condition}),
            json.dumps({"condition": condition, "temperature": degrees}, separators=(",", ":")),
            json.dumps({"location": city, "temperature": degrees, "condition": condition}),
            json.dumps({"weather": condition}),
            condition,
            condition.capitalize(),
            f"It is {condition}.",
            f"{condition}, {degrees} degrees",
            f"{degrees}°C and {condition}",
            f"{condition.capitalize()}, {degrees}°C",
        ]
        return rng.choice(known), condition

    def earlier_call(self, call_id: str, key: str) -> list[ChatJSON]:
        """Return an earlier turn in which a tool was called and its result told."""
        city = self._rng.choice(CITIES)
        content, condition = self.weather(city)
        answer = weather_answer(city, condition).removesuffix("<|return|>").rsplit("<|message|>", 1)[-1]
        return [
            user(self._rng.choice(weather_asks(city))),
            assistant_call([(call_id, "get_weather", location(city, key))]),
            result(call_id, content),
            {"role": "assistant", "content": answer},
        ]

    def other_cities(self, known: KnownPrompt) -> KnownPrompt:
        """Return the same conversation about cities, wordings and results drawn anew."""
        rng = self._rng
        first, second = rng.sample(CITIES, 2)
        content, condition = self.weather(first)
        later, _ = self.weather(second)
        messages: list[ChatJSON]
        if known.group == "weather":
            messages, completion = [user(rng.choice(weather_asks(first)))], weather_call(first)
        elif known.group == "preamble":
            messages, completion = [user(rng.choice(preamble_asks(first)))], preamble_call(first)
        elif known.group == "result":
            preamble = rng.random() < 0.2
            asks = preamble_asks(first) if preamble else weather_asks(first)
            text = f"I will check the weather in {first}." if preamble else None
            messages = [
                user(rng.choice(asks)),
                assistant_call([("call_1", "get_weather", location(first))], weather_reasoning(first), text),
                result("call_1", content),
            ]
            completion = weather_answer(first, condition)
        elif known.group == "sequence":
            messages, completion = self._sequence(known.name, first, second, content, later)
        else:
            messages = [user(rng.choice(parallel_asks(first, second)))]
            completion = parallel_calls(first, second)
            if known.name.endswith("answer"):
                both = [("call_1", "get_weather", location(first)), ("call_2", "get_weather", location(second))]
                messages += [
                    assistant_call(both, parallel_reasoning(first, second)),
                    result("call_1", content),
                    result("call_2", later),
                ]
                completion = BOTH_ANSWER
        return replace(known, messages=messages, completion=completion, asks=())

    def _sequence(self, name: str, first: str, second: str, content: str, later: str) -> tuple[list[ChatJSON], str]:
        messages: list[ChatJSON] = [user(self._rng.choice(sequence_asks(first, second)))]
        if name == "two-calls-first":
            return messages, sequence_first(first, second)
        messages += [
            assistant_call([("call_1", "get_weather", location(first))], sequence_first_reasoning(first, second)),
            result("call_1", content),
        ]
        if name != "two-calls-answer":
            return messages, sequence_second(second)
        messages += [
            assistant_call([("call_2", "get_weather", location(second))], sequence_second_reasoning(second)),
            result("call_2", later),
        ]
        return messages, BOTH_ANSWER
