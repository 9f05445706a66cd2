"""``lemonade-like replay``: recorded turns once more, compared with how they came out."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import typer

from lemonade_like.cli.reading import Trouble
from lemonade_like.cli.replay_remote import ask_again
from lemonade_like.cli.replay_report import Report, list_turns
from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.models.registry import Registry
from lemonade_like.models.vocabulary import vocabulary_dir
from lemonade_like.pool.limits import PoolLimits
from lemonade_like.pool.loader import Loader, LoadOptions
from lemonade_like.pool.pool import Pool
from lemonade_like.pool.resident import EngineConnectionLost, EngineResponseError
from lemonade_like.store.recordings import read_lines
from lemonade_like.turns.failures import from_engine
from lemonade_like.turns.formats import HarmonyFormat, HarmonyFormats
from lemonade_like.turns.recorded.replay import (
    CannotReplay,
    NoRecord,
    Replayed,
    parse_again,
    read_record,
    run_again,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from rich.console import Console

    from lemonade_like.cli.server_client import RunningServer
    from lemonade_like.settings import Settings
    from lemonade_like.turns.recorded.schema import Record


@dataclass(frozen=True)
class Choice:
    """Which turns: those of an ``id`` (of a request or of a turn) and a ``model``, and of them the ``last`` so many, or
    all. With nothing said, it is the last turn."""

    id: str | None = None
    model: str | None = None
    last: int | None = None
    everything: bool = False

    def of(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the chosen ones, in order."""
        found = (record for record in records if self._fits(record))
        if self.last is not None:
            return deque(found, self.last)
        if self.everything or self.id or self.model:
            return found
        return deque(found, 1)

    def _fits(self, record: Record) -> bool:
        names = {record.request.model, record.model.name if record.model else None}
        return (self.id is None or self.id in (record.id, record.turn)) and (self.model is None or self.model in names)


def replay_turns(
    place: str,
    settings: Settings,
    choice: Choice,
    *,
    server: RunningServer | None = None,
    render: bool = False,
    parse_only: bool = False,
    as_list: bool = False,
    as_json: bool = False,
    console: Console | None = None,
) -> int:
    """Run turns again and print what came of it. Returns the exit code: 0 all the same, 1 one is different, 2 trouble.

    Raises ``Trouble`` if no turn can be read or chosen, or there is no engine.
    """
    report = Report(as_json=as_json, console=console)
    try:
        records = choice.of(_records(Path(place)))
        if as_list:
            list_turns(records, as_json=as_json, console=console)
            return 0
        if parse_only:
            _each(records, parse_again, report)
        elif server is not None:
            _each(records, partial(ask_again, server=server, render=render), report)
        else:
            asyncio.run(_on_own_engine(records, settings, report, render=render))
    except OSError as error:
        raise Trouble(f"{error.filename or place}: {error.strerror or error}") from error
    except ServerError as error:
        raise Trouble(str(error)) from error
    return report.exit_code()


def _records(place: Path) -> Iterator[Record]:
    """The turns that can be read; what cannot is named."""
    for line in read_lines(place):
        try:
            yield read_record(line.text)
        except NoRecord as error:
            typer.echo(f"{line.file}, line {line.number}, is left out: it is {error.message}.", err=True)


def _each(records: Iterable[Record], run: Callable[[Record], Replayed], report: Report) -> None:
    for record in records:
        try:
            report.replayed(run(record))
        except CannotReplay as error:
            report.left_out(record, error.message)
        except ServerError as error:
            report.failed(record, str(error))


async def _on_own_engine(records: Iterable[Record], settings: Settings, report: Report, *, render: bool) -> None:
    # One turn at a time needs but one slot's memory.
    settings = settings.model_copy(update={"parallel": 1})
    registry = Registry.from_settings(settings)
    async with _pool(registry, settings) as pool:
        for record in records:
            try:
                report.replayed(await _run(record, pool, registry, settings, render=render))
            except CannotReplay as error:
                report.left_out(record, error.message)
            except ServerError as error:
                report.failed(record, str(error))


async def _run(
    record: Record, pool: Pool[HarmonyFormat], registry: Registry, settings: Settings, *, render: bool
) -> Replayed:
    if record.model is None or record.engine is None:
        how = f": {record.error.message}" if record.error else ""
        raise CannotReplay(f"its model was never there (it {record.outcome}{how})")
    try:
        name = registry.resolve(record.model.name)
    except ModelNotFound:
        # It was served by its path.
        name = registry.add_local(Path(record.model.path)).name
    await pool.load(name, LoadOptions(ctx_size=record.engine.ctx_size))
    async with pool.lease(name) as lease:
        try:
            return await run_again(record, lease, rendered_for=settings.reasoning_format if render else None)
        except EngineResponseError as error:
            raise from_engine(error) from error
        except EngineConnectionLost as error:
            raise lease.explain(error) from error


@asynccontextmanager
async def _pool(registry: Registry, settings: Settings) -> AsyncIterator[Pool[HarmonyFormat]]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        formats = HarmonyFormats(cache(partial(vocabulary_dir, cache_dir=settings.cache_dir)))
        pool = Pool(registry, Loader(registry, settings, session, formats), PoolLimits.from_settings(settings))
        try:
            yield pool
        finally:
            await pool.close()
