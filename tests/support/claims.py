"""What a page says of each field of a request, and whether the app keeps it.

A page has tables whose first column names fields and whose second begins with a verdict. The heading of the first
column is ``Field``, or ``Field of `PATH``` where the names are below a path.
"""

from __future__ import annotations

import itertools
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from lemonade_like.turns.events import ContentDelta, Finish, ReasoningDelta, Usage
from tests.support.turns import ScriptedTurns, client_of, scripted_app, scripted_services
from tests.support.vectors import ScriptedVectors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    import httpx

Verdict = Literal["honoured", "refused", "harmless"]

#: What no two answers have in common.
_DRAWN = re.compile(r'"(?:created|created_at|completed_at)":\d+|[a-z]+_[0-9a-f]{20,}|[a-z]+-[0-9a-f]{20,}')
_VERDICTS = get_args(Verdict)
#: Values of all types, for a field that nobody looks at.
ANYTHING: tuple[Any, ...] = (True, 3, "auto", {"type": "x"}, [1])


def claims(page: Path) -> dict[str, Verdict]:
    """The verdict on each field, by its path."""
    found: dict[str, Verdict] = {}
    below: str | None = None
    for line in page.read_text().splitlines():
        first, second = ([cell.strip() for cell in line.strip("|").split(" | ")] + ["", ""])[:2]
        if not line.startswith("|"):
            below = None
        elif heading := re.fullmatch(r"Field(?: of `(.*)`)?", first):
            below = f"{heading[1]}." if heading[1] else ""
        elif below is not None and (names := re.findall(r"`([^`]+)`", first)):
            verdict = re.split(r"\W", second)[0]
            assert verdict in _VERDICTS, f"{line} begins with no verdict"
            twice = {f"{below}{name}" for name in names} & found.keys()
            assert not twice, f"{twice} stand in two rows"
            found |= {f"{below}{name}": verdict for name in names}  # type: ignore[misc]
    return found


def without_claim(paths: set[str], claimed: Mapping[str, Verdict]) -> set[str]:
    """The paths of which the page says nothing. A field that is refused or harmless is so with all that is in it."""
    return {path for path in paths if path not in claimed and not any(_settled(up, claimed) for up in _above(path))}


def _above(path: str) -> Iterator[str]:
    while "." in path:
        path = path.rpartition(".")[0]
        yield path
        yield path.removesuffix("[]")


def _settled(path: str, claimed: Mapping[str, Verdict]) -> bool:
    return claimed.get(path) in ("refused", "harmless")


@dataclass(frozen=True)
class Try:
    """A value for a field, in a body that has ``beside`` as well.

    ``along`` are values of other fields that go with this one alone: without it, they are an error.
    """

    value: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    along: Mapping[str, Any] = field(default_factory=dict)


def tries(examples: Mapping[str, Any], path: str) -> list[Try]:
    """How to try a field: with the example for it, or with anything."""
    if path not in examples:
        return [Try(value) for value in ANYTHING]
    example = examples[path]
    return [example if isinstance(example, Try) else Try(example)]


@dataclass(frozen=True)
class Outcome:
    """What came of a request: what was asked of the rooms behind, and what was answered, without what is drawn or
    measured."""

    status: int
    asked: tuple[Any, ...]
    answer: str
    message: str = ""
    param: str | None = None


class Asker:
    """Asks an app whose turns all say the same; ``kept`` is where its rooms put what is asked of them."""

    def __init__(self, client: httpx.AsyncClient, *kept: list[Any]) -> None:
        self._client = client
        self._kept = kept

    async def post(self, endpoint: str, body: Mapping[str, Any]) -> httpx.Response:
        """Send the body, and return the answer as it is."""
        return await self._client.post(endpoint, json=body)

    async def outcome(self, endpoint: str, body: Mapping[str, Any]) -> Outcome:
        """Send the body."""
        for each in self._kept:
            each.clear()
        answer = await self.post(endpoint, body)
        said = answer.json()["error"] if answer.status_code >= 400 else {}
        return Outcome(
            answer.status_code,
            tuple(itertools.chain(*self._kept)),
            _DRAWN.sub("", answer.text),
            said.get("message", ""),
            said.get("param"),
        )

    async def check(
        self,
        endpoint: str,
        base: Mapping[str, Any],
        path: str,
        verdict: Verdict,
        tried: Try,
        *,
        repeated: bool = False,
    ) -> None:
        """Check that the field is what is said of it; ``repeated`` allows answers to repeat a harmless one."""
        lacking = {**base, **tried.beside}
        without = await self.outcome(endpoint, lacking)
        with_it = await self.outcome(endpoint, placed({**lacking, **tried.along}, path, tried.value))
        assert without.status == 200, without.message
        if tried.along:
            alone = await self.outcome(endpoint, {**lacking, **tried.along})
            assert alone.status == 400, f"{path} is not needed by what goes along with it"
        if verdict == "refused":
            assert with_it.status == 400, f"{path} is not refused"
            # Anthropic's errors have only words.
            named = re.sub(r"\[\d+\]", "[]", with_it.param or with_it.message)
            wanted = (path, f"{path.rpartition('.')[0]}.type")
            assert any(re.search(rf"(^|'){re.escape(name)}\b", named) for name in wanted), with_it.message
            return
        assert with_it.status == 200, with_it.message
        if verdict == "harmless":
            assert with_it.asked == without.asked, f"{path} is not harmless"
            assert repeated or with_it.answer == without.answer, f"{path} is in the answer"
        else:
            assert with_it != without, f"{path} makes no difference"


@asynccontextmanager
async def asker(turns: ScriptedTurns | None = None) -> AsyncIterator[Asker]:
    """One to ask."""
    turns = turns or ScriptedTurns([[ReasoningDelta("Hm."), ContentDelta("Hello"), Finish("stop", Usage(3, 2, 1))]])
    vectors = ScriptedVectors()
    services = scripted_services(turns)
    services.vectors = vectors
    async with client_of(scripted_app(services)) as client:
        yield Asker(client, turns.requests, turns.completions, vectors.requests)


def placed(body: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with a value at the path; ``[]`` is the first of a list."""
    # A copy that shares nothing, not even with itself.
    changed: Any = json.loads(json.dumps(body))
    steps = re.findall(r"\[\]|[^.\[\]]+", path)
    place = changed
    for step, following in itertools.pairwise(steps):
        if step == "[]":
            place = place[0]
            continue
        if not isinstance(place.get(step), list if following == "[]" else dict):
            place[step] = [{}] if following == "[]" else {}
        place = place[step]
    place[steps[-1]] = value
    result: dict[str, Any] = changed
    return result
