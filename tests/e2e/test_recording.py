"""Turns of the real engine are recorded, come out the same when they are run again, and a change is told."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from lemonade_like.cli.replay import Choice, replay_turns
from lemonade_like.cli.server_client import RunningServer
from lemonade_like.configuration import load_settings
from lemonade_like.store.recordings import read_lines
from lemonade_like.turns.recorded.replay import read_record
from lemonade_like.turns.request import TurnRequest
from tests.e2e.conftest import ONE_THREAD
from tests.support.asking import AS_PERSON, TINY, WEATHER
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from lemonade_like.settings import Settings
    from lemonade_like.turns.recorded.schema import Record

KEY = "sesame-open-up"


def _says(text: str) -> Any:
    return [{"role": "user", "content": text}]


def _ask_everything(client: openai.OpenAI, other: str) -> None:
    create = client.chat.completions.create
    list(create(model=TINY, messages=_says("What is 2+2?"), stream=True))
    create(model=TINY, messages=_says("What is 2+2?"), reasoning_effort="none", n=2)
    called = create(
        model=TINY, messages=_says("What is the weather in Tokyo?"), tools=[WEATHER], tool_choice="required"
    )
    (call,) = called.choices[0].message.tool_calls or ()
    chat = [*_says("What is the weather in Tokyo?"), {"role": "assistant", "tool_calls": [call.model_dump()]}]
    create(model=TINY, messages=[*chat, {"role": "tool", "tool_call_id": call.id, "content": "18 °C"}], tools=[WEATHER])
    create(model=TINY, messages=_says("Make up a person."), response_format=AS_PERSON, reasoning_effort="low")
    create(model=TINY, messages=_says("Say 🙂 and 漢字."), max_tokens=25, stop=["zebra"])
    create(model=other, messages=_says("Name a colour."), max_tokens=20)
    for model in (TINY, other):
        client.completions.create(model=model, prompt="Once upon a time", max_tokens=12)
    with pytest.raises(openai.NotFoundError):
        create(model="nobody", messages=_says("Hi"))
    stream = create(model=TINY, messages=_says("Tell me about the sea."), stream=True)
    next(iter(stream))
    next(iter(stream))
    stream.close()


@pytest.fixture(scope="module")
def recorded(cache_dir: Path, smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that was asked all kinds of things, and then killed."""
    folder = tmp_path_factory.mktemp("recorded")
    log = folder / "server.log"
    options = ("--model", TINY, "--model", str(smollm), "--api-key", KEY, "--record-turns", str(folder / "turns"))
    with log.open("w") as stderr, server_process(cache_dir, *options, *ONE_THREAD, stderr=stderr.fileno()) as process:
        url = address(process)
        with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            _ask_everything(client, smollm.stem)
        headers = {"x-api-key": KEY, "x-request-id": "mine"}
        body = {"model": TINY, "max_tokens": 30, "messages": _says("Hello")}
        assert httpx.post(f"{url}/v1/messages", json=body, headers=headers, timeout=60).status_code == 200
        while b'"mine"' not in b"".join(line.text for line in read_lines(folder / "turns")):
            assert process.poll() is None
        process.kill()
        process.wait()
    assert f"Every turn is recorded in {folder / 'turns'}, prompts and answers included." in log.read_text()
    return folder / "turns"


@pytest.fixture(scope="module")
def records(recorded: Path) -> list[Record]:
    return [read_record(line.text) for line in read_lines(recorded)]


@pytest.fixture
def settings(cache_dir: Path) -> Settings:
    """Those of the command line that replays, on an engine of its own."""
    return load_settings({"cache_dir": cache_dir, "llamacpp_args": "--threads 1"}, {"XDG_CONFIG_HOME": "/nowhere"})


def _replay(place: Path, settings: Settings, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, Any]:
    choice = Choice(everything=True)
    code = replay_turns(str(place), settings, choice, as_json=True, **options)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_server_that_was_killed_has_left_whole_lines_that_only_its_user_may_read(
    recorded: Path, records: list[Record]
) -> None:
    (file,) = (entry for entry in recorded.iterdir() if entry.suffix == ".jsonl")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert KEY not in text
    assert len({record.owner for record in records}) == 1
    assert records[0].owner
    assert len(records) == 13


def test_each_turn_is_there_with_its_request(records: list[Record], other: str) -> None:
    by_id: dict[str, list[Record]] = {}
    for record in records:
        by_id.setdefault(record.id, []).append(record)
    # Two choices are two turns of one request.
    assert sorted(map(len, by_id.values())) == [1] * 11 + [2]
    assert [record.endpoint for record in by_id["mine"]] == ["/v1/messages"]
    assert {record.outcome for record in records} == {"finished", "failed", "cancelled"}
    plain = next(record for record in records if record.request.model == other and "chat" in (record.endpoint or ""))
    assert (plain.prompt, plain.output) == (None, None)
    assert plain.payload is not None
    assert plain.payload["messages"] == [{"role": "user", "content": "Name a colour."}]
    assert plain.payload["seed"] >= 0
    cut = next(record for record in records if record.finish_reason == "length" and record.output)
    assert cut.output is not None
    assert cut.output.tokens == 25
    systems = [(record, record.prompt.system) for record in records if record.prompt and record.prompt.system]
    tool = next(record for record, system in systems if system.recalled)
    assert isinstance(tool.request, TurnRequest)
    assert tool.request.messages[1].tool_calls[0].name == "get_weather"


def test_all_turns_come_out_the_same_again(
    recorded: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _replay(recorded, settings, capsys, render=True)
    assert {one["verdict"] for one in told} == {"same", "left out"}
    (left_out,) = (one for one in told if one["verdict"] == "left out")
    assert left_out["why"].startswith("its model was never there (it failed: There is no model called 'nobody'")
    assert code == 0


def test_the_parser_makes_of_them_what_it_made_then(
    recorded: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _replay(recorded, settings, capsys, parse_only=True)
    assert code == 0
    assert sum(one["verdict"] == "same" for one in told) == 9


def test_a_running_server_gives_the_same_answers(
    server: str, other: str, recorded: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _replay(recorded, settings, capsys, server=RunningServer(f"{server}/v1"))
    assert [(one["verdict"], one["model"]) for one in told if one["verdict"] != "same"] == [
        *[("left out", TINY), ("left out", other)],  # raw completions
        ("left out", "nobody"),
    ]
    assert code == 0


def test_a_turn_that_was_tampered_with_is_told_at_the_right_token(
    recorded: Path,
    records: list[Record],
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index = next(index for index, record in enumerate(records) if record.output and "2+2=4" in record.output.text)
    plain = json.loads([line.text for line in read_lines(recorded)][index])
    text = plain["output"]["text"]
    place = text.index("<|message|>", text.index("<|channel|>final")) + len("<|message|>")
    ids: list[int] = plain["output"]["ids"]
    token = ids.index(200008, ids.index(200008) + 1) + 1
    ids[token] = 19
    plain["output"]["text"] = text[:place] + "4" + text[place + 1 :]
    (tmp_path / "tampered.jsonl").write_text(json.dumps(plain) + "\n")

    code, (told,) = _replay(tmp_path / "tampered.jsonl", settings, capsys)
    assert (code, told["verdict"]) == (1, "different")
    (difference,) = told["differences"]
    assert (difference["what"], difference["channel"], difference["token"]) == ("output", "final", token)
    assert difference["character"] == place
    assert difference["before"].endswith("<|channel|>final<|message|>")
    assert difference["recorded"][0] == "4"
    assert difference["now"][0] == text[place]
