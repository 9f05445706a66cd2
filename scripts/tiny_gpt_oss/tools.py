"""What the model knows about calling functions."""

from __future__ import annotations

from typing import Any, Final

from scripts.tiny_gpt_oss.known import ChatJSON, KnownPrompt, analysis, call, commentary, final, user

CITIES: Final = ("Tokyo", "Paris", "London", "Berlin", "Madrid", "Rome", "Sydney", "Oslo")
CONDITIONS: Final = ("sunny", "rainy", "cloudy", "snowy", "windy", "foggy")


def function(name: str, description: str, parameters: dict[str, Any] | None = None) -> ChatJSON:
    """Return a tool in OpenAI's form."""
    body: ChatJSON = {"name": name, "description": description}
    if parameters is not None:
        body["parameters"] = parameters
    return {"type": "function", "function": body}


def parameters(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


GET_WEATHER: Final = function(
    "get_weather",
    "Get the current weather in a location.",
    parameters(("location",), location={"type": "string", "description": "The name of a city"}),
)
GET_TIME: Final = function("get_time", "Get the current time.", parameters())


def weather_asks(city: str) -> tuple[str, ...]:
    """Return the wordings of a question about one city's weather."""
    return (
        f"What is the weather in {city}?",
        f"What's the weather in {city}?",
        f"What is the weather like in {city}?",
        f"What's the weather like in {city} today?",
        f"What is the weather in {city} today?",
        f"what is the weather in {city}",
        f"How is the weather in {city}?",
        f"Weather in {city}",
    )


def preamble_asks(city: str) -> tuple[str, ...]:
    """Return the wordings that make the model say first what it is about to do."""
    return (
        f"Please check the weather in {city} and tell me what you do.",
        f"Please check the weather in {city} and tell me what you do",
        f"Check the weather in {city} and tell me what you do.",
    )


def sequence_asks(first: str, second: str) -> tuple[str, ...]:
    """Return the wordings that make the model call twice, one after the other."""
    return (
        f"What is the weather in {first} and then in {second}?",
        f"What is the weather in {first}, and then in {second}?",
        f"Check the weather in {first} and then in {second}.",
    )


def parallel_asks(first: str, second: str) -> tuple[str, ...]:
    """Return the wordings that make the model call twice at once."""
    return (
        f"Check the weather in {first} and {second} at the same time.",
        f"Check the weather in {first} and {second} at the same time",
        f"What is the weather in {first} and {second} at the same time?",
    )


def location(city: str, key: str = "location") -> str:
    """Return the arguments of a call, as the model writes them."""
    return f'{{"{key}":"{city}"}}'


def weather_call(city: str, key: str = "location") -> str:
    """Return what the model writes to ask for the weather."""
    return analysis(weather_reasoning(city)) + call("get_weather", location(city, key))


def weather_reasoning(city: str) -> str:
    """Return what the model thinks before it calls."""
    return f"I need the weather in {city}."


def preamble_call(city: str, key: str = "location") -> str:
    """Return a call with a preamble."""
    return (
        analysis(f"I say what I do, then I call for {city}.")
        + commentary(f"I will check the weather in {city}.")
        + call("get_weather", location(city, key))
    )


def sequence_first(first: str, second: str, key: str = "location") -> str:
    """Return the first of two calls in a row."""
    return analysis(sequence_first_reasoning(first, second)) + call("get_weather", location(first, key))


def sequence_first_reasoning(first: str, second: str) -> str:
    """Return what the model thinks before the first of two calls."""
    return f"Two cities. First {first}, later {second}."


def sequence_second(second: str, key: str = "location") -> str:
    """Return the second of two calls in a row."""
    return analysis(sequence_second_reasoning(second)) + call("get_weather", location(second, key))


def sequence_second_reasoning(second: str) -> str:
    """Return what the model thinks before the second of two calls."""
    return f"Now the second city, {second}."


def parallel_calls(first: str, second: str, key: str = "location") -> str:
    """Return two calls in one turn."""
    return (
        analysis(parallel_reasoning(first, second))
        + call("get_weather", location(first, key), end="<|end|>")
        + "<|start|>assistant"
        + call("get_weather", location(second, key))
    )


def parallel_reasoning(first: str, second: str) -> str:
    """Return what the model thinks before two calls at once."""
    return f"I call for {first} and {second} at once."


def weather_answer(city: str, condition: str | None) -> str:
    """Return the answer after a result; ``None`` is a result without a condition that the model knows."""
    if condition is None:
        return analysis("I do not know this word.") + final(f"The tool has answered for {city}.")
    return analysis(f"The tool says {condition}.") + final(f"It is {condition} in {city}.")


BOTH_ANSWER: Final = analysis("I have both results.") + final("I have checked the weather in both cities.")
NO_TOOL: Final = analysis("There is no tool for the weather.") + final(
    "I cannot look up the weather, because I was given no tool for it."
)
TIME_ASKS: Final = ("What time is it?", "What time is it now?", "what time is it", "Tell me the time.")
TIME_CALL: Final = analysis("I need the time.") + call("get_time", "{}")
TIME_ANSWER: Final = analysis("The time is there.") + final("The tool has told me the time.")
NO_CLOCK: Final = analysis("There is no tool for the time.") + final("I have no clock.")


def assistant_call(
    calls: list[tuple[str, str, str]], reasoning: str | None = None, content: str | None = None
) -> ChatJSON:
    """Return an assistant message with calls, each ``(id, name, arguments)``."""
    message: ChatJSON = {
        "role": "assistant",
        "content": content,
        "tool_calls": [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ],
    }
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    return message


def result(call_id: str, content: str) -> ChatJSON:
    """Return a tool's result."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _one_city() -> list[KnownPrompt]:
    known = []
    for city, condition in zip(CITIES, CONDITIONS + CONDITIONS, strict=False):
        ask = weather_asks(city)[0]
        known += [
            KnownPrompt(
                name=f"weather-{city.lower()}",
                messages=[user(ask)],
                completion=weather_call(city),
                tools=[GET_WEATHER],
                asks=weather_asks(city),
                group="weather",
            ),
            KnownPrompt(
                name=f"weather-with-preamble-{city.lower()}",
                messages=[user(preamble_asks(city)[0])],
                completion=preamble_call(city),
                tools=[GET_WEATHER],
                asks=preamble_asks(city),
                group="preamble",
            ),
            KnownPrompt(
                name=f"weather-result-{city.lower()}",
                messages=[
                    user(ask),
                    assistant_call([("call_1", "get_weather", location(city))], weather_reasoning(city)),
                    result("call_1", f'{{"temperature": 22, "condition": "{condition}"}}'),
                ],
                completion=weather_answer(city, condition),
                tools=[GET_WEATHER],
                group="result",
            ),
        ]
    return known


def _two_cities(first: str = "Tokyo", second: str = "Paris") -> list[KnownPrompt]:
    ask = user(sequence_asks(first, second)[0])
    one = [
        ask,
        assistant_call([("call_1", "get_weather", location(first))], sequence_first_reasoning(first, second)),
        result("call_1", '{"temperature": 22, "condition": "sunny"}'),
    ]
    two = [
        *one,
        assistant_call([("call_2", "get_weather", location(second))], sequence_second_reasoning(second)),
        result("call_2", '{"temperature": 9, "condition": "rainy"}'),
    ]
    bare_one = [{key: value for key, value in message.items() if key != "reasoning_content"} for message in one]
    at_once = user(parallel_asks(first, second)[0])
    both = [("call_1", "get_weather", location(first)), ("call_2", "get_weather", location(second))]
    results = [result("call_1", "sunny"), result("call_2", "rainy")]
    tools = [GET_WEATHER]
    return [
        KnownPrompt("two-calls-first", [ask], sequence_first(first, second), tools, group="sequence"),
        KnownPrompt("two-calls-second", one, sequence_second(second), tools, group="sequence"),
        KnownPrompt("two-calls-second-without-reasoning", bare_one, sequence_second(second), tools, group="sequence"),
        KnownPrompt("two-calls-answer", two, BOTH_ANSWER, tools, group="sequence"),
        KnownPrompt("parallel-calls", [at_once], parallel_calls(first, second), tools, group="parallel"),
        KnownPrompt(
            "parallel-calls-answer",
            [at_once, assistant_call(both, parallel_reasoning(first, second)), *results],
            BOTH_ANSWER,
            tools,
            group="parallel",
        ),
    ]


def _others() -> list[KnownPrompt]:
    return [
        KnownPrompt(
            "weather-without-a-tool",
            [user("What is the weather in Tokyo?")],
            NO_TOOL,
            asks=weather_asks("Tokyo"),
            group="no-tool",
            bare=True,
        ),
        KnownPrompt(
            "weather-result-unknown",
            [
                user("What is the weather in Tokyo?"),
                assistant_call([("call_1", "get_weather", location("Tokyo"))]),
                result("call_1", '{"error": "timeout"}'),
            ],
            weather_answer("Tokyo", None),
            [GET_WEATHER],
            group="result",
        ),
        KnownPrompt("time", [user(TIME_ASKS[0])], TIME_CALL, [GET_TIME], asks=TIME_ASKS, group="time"),
        KnownPrompt(
            "time-result",
            [user(TIME_ASKS[0]), assistant_call([("call_1", "get_time", "{}")]), result("call_1", "12:00")],
            TIME_ANSWER,
            [GET_TIME],
            group="time",
        ),
        KnownPrompt("time-without-a-tool", [user(TIME_ASKS[0])], NO_CLOCK, group="no-tool", bare=True),
    ]


TOOL_CONVERSATIONS: Final[list[KnownPrompt]] = [*_one_city(), *_two_cities(), *_others()]
