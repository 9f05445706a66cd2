"""Take apart what GPT-OSS wrote, and answer its call. Needs no server."""

from __future__ import annotations

from lemonade_like import PromptBuilder, ResponseParser, validate_harmony_format

WRITTEN = (
    "<|channel|>analysis<|message|>They ask for the weather. I must look.<|end|>"
    "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
    "<|start|>assistant to=functions.get_weather<|channel|>commentary <|constrain|>json<|message|>"
    '{"location": "Tokyo"}<|call|>'
)

parsed = ResponseParser().parse(WRITTEN)
print("Reasoning: ", parsed.analysis)
print("Commentary:", parsed.commentary)
for call in parsed.tool_calls:
    print("Call:      ", call.name, call.json())
print("Channels:  ", ", ".join(parsed.channels))
print("Ended with:", parsed.metadata.end)

# With its result the call goes into the next prompt.
chat = [
    {"role": "user", "content": "What is the weather in Tokyo?"},
    parsed.as_message(),
    {"role": "tool", "tool_call_id": parsed.tool_calls[0].id, "content": '{"condition": "sunny"}'},
]
print("Next prompt:", len(PromptBuilder().build(chat).ids), "tokens")

# Models write malformed things now and then. Nothing of it is lost, and it can be told what is wrong.
malformed = "<|channel|>analysis<|message|>Easy.<|start|>assistant<|channel|>final <|constrain|>text<|message|>4"
print("Mended:    ", ResponseParser().parse(malformed).final)
for problem in validate_harmony_format(malformed).problems:
    print("Problem:   ", problem)
