"""What ``lemonade-like replay`` prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemonade_like.cli.reading import Trouble
from lemonade_like.turns.request import TurnRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.turns.recorded.difference import Difference
    from lemonade_like.turns.recorded.replay import Replayed
    from lemonade_like.turns.recorded.schema import Record

_WIDTH_IN_A_PIPE: Final = 160  # columns
_EXCERPT: Final = 50  # characters
_STYLES: Final = {"same": "green", "different": "bold red", "left out": "yellow", "failed": "bold red"}


class Report:
    """Prints each turn as it is done, and keeps the score."""

    def __init__(self, *, as_json: bool, console: Console | None = None) -> None:
        self._as_json = as_json
        self._console = console or Console(soft_wrap=True)
        self._score = dict.fromkeys(_STYLES, 0)

    def replayed(self, replayed: Replayed) -> None:
        """Tell how a turn came out."""
        differences = [one for one in (replayed.prompt_difference, replayed.difference) if one is not None]
        self._tell(replayed.record, replayed.verdict, differences=differences, notes=_notes(replayed))

    def left_out(self, record: Record, why: str) -> None:
        """Tell that there is nothing to be run again, and why."""
        self._tell(record, "left out", why)

    def failed(self, record: Record, why: str) -> None:
        """Tell that a turn could not be run to its end."""
        self._tell(record, "failed", why)

    def exit_code(self) -> int:
        """Return 0 if all turns that could be run came out the same, 1 if one did not, 2 if one failed.

        Raises ``Trouble`` if there was no turn that could be run.
        """
        if not any(self._score.values()):
            raise Trouble("There is no such turn in this recording.\n`lemonade-like replay FILE --list` shows all.")
        if self._score["failed"] or not (self._score["same"] or self._score["different"]):
            return 2
        return 1 if self._score["different"] else 0

    def _tell(
        self,
        record: Record,
        verdict: str,
        why: str = "",
        *,
        differences: Iterable[Difference] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self._score[verdict] += 1
        if self._as_json:
            told = {
                **_named(record),
                "verdict": verdict,
                "differences": [asdict(one) for one in differences],
                "notes": [*notes],
                "why": why or None,
            }
            typer.echo(json.dumps(told, ensure_ascii=False))
            return
        line = Text(f"{verdict:<10}", _STYLES[verdict])
        line.append(f"{record.id}  {record.turn}  {record.request.model}", "default")
        self._console.print(line)
        for text in (*filter(None, [why]), *notes):
            self._console.print(Text(f"  {text}", "yellow"))
        for one in differences:
            self._show(one)

    def _show(self, one: Difference) -> None:
        self._console.print(Text(f"  {_where(one)}:"))
        for name, text, style in (
            ("both", one.before, "dim"),
            ("recorded", one.recorded, "red"),
            ("now", one.now, "green"),
        ):
            if text or name != "both":
                self._console.print(Text(f"    {name:<10}").append(_on_one_line(text) or "(the end)", style))


def list_turns(records: Iterable[Record], *, as_json: bool, console: Console | None = None) -> None:
    """Print what turns there are."""
    if as_json:
        for record in records:
            typer.echo(json.dumps({**_named(record), "asks": _asks(record)}, ensure_ascii=False))
        return
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_IN_A_PIPE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Started", "Id", "Model", "Endpoint", "Outcome", "Tokens", "Asks"):
        table.add_column(heading, overflow="fold")
    for record in records:
        cells = (
            record.started[:19],
            record.id,
            record.request.model,
            record.endpoint or "",
            record.finish_reason or record.outcome,
            str(record.usage.completion_tokens) if record.usage else "",
            _asks(record),
        )
        # Text, not str: what a user wrote in brackets is no markup.
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _named(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "turn": record.turn,
        "started": record.started,
        "model": record.request.model,
        "endpoint": record.endpoint,
        "outcome": record.outcome,
        "finish_reason": record.finish_reason,
        "completion_tokens": record.usage.completion_tokens if record.usage else None,
    }


def _asks(record: Record) -> str:
    """The beginning of what was asked last."""
    request = record.request
    if isinstance(request, TurnRequest):
        asked = request.messages[-1].text if request.messages else ""
    else:
        asked = request.prompt if isinstance(request.prompt, str) else str(request.prompt)
    text = _on_one_line(asked)
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"


def _notes(replayed: Replayed) -> list[str]:
    """What may be why a turn came out differently."""
    record, now = replayed.record, replayed.now
    notes = []
    if record.resumed:
        notes.append("Its engine was lost in the middle of it, so that it was drawn anew from there on.")
    if record.model and now.model and record.model.bytes != now.model.bytes:
        notes.append(f"The model is another file: {record.model.bytes} bytes then, {now.model.bytes} now.")
    if record.engine and now.engine:
        then, here = ((one.backend, one.version) for one in (record.engine, now.engine))
        if then != here:
            notes.append(f"The engine is another: {then[0]} {then[1]} then, {here[0]} {here[1]} now.")
    if record.outcome != "finished":
        notes.append(f"It {_ENDED[record.outcome]}, so it is compared as far as it went.")
    return notes


_ENDED: Final = {"cancelled": "was cancelled", "failed": "failed"}


def _where(one: Difference) -> str:
    places = [f"token {one.token}"] if one.token is not None else []
    if one.character is not None:
        places.append(f"character {one.character}")
    place = f" at {', '.join(places)}" if places else ""
    return f"first difference in {one.what}{place}" + (f", in {one.channel}" if one.channel else "")


def _on_one_line(text: str) -> str:
    return "".join(one if one.isprintable() else "⏎" if one == "\n" else "·" for one in text)
