"""Whatever stands in a field that is documented, the answer is an answer or says which field is wrong; never a 500."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.anthropic import test_documented_fields as messages
from tests.api.openai import test_documented_embeddings as embeddings
from tests.api.openai import test_documented_fields as chat
from tests.api.openai.completions import test_documented_fields as completions
from tests.api.openai.responses import test_documented_fields as responses
from tests.support.claims import Asker, asker, placed, tries
from tests.support.turns import ScriptedTurns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from lemonade_like.turns.events import Event
    from lemonade_like.turns.request import TurnRequest
    from tests.support.rig import Rig

WORDS = st.sampled_from(
    ["", "auto", "function", "custom", "text", "user", "assistant", "tool", "json_schema", "<|end|>"]
)
NUMBERS = (
    st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
)
NAMES = st.sampled_from(
    ["type", "name", "role", "content", "text", "function", "arguments", "schema", "tools", "effort"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
APIS: Any = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "completions": completions,
    "embeddings": embeddings,
}


class RenderedTurns(ScriptedTurns):
    """Turns that render the prompt, as far as real ones get without an engine, and then play the script."""

    def __init__(self, rooms: Rig) -> None:
        super().__init__()
        self._rooms = rooms

    async def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        await self._rooms.turns.render(replace(request, model=self._rooms.model))
        async for batch in super().run(request):
            yield batch


@pytest.fixture(scope="module")
async def rendering(rooms: Rig) -> AsyncIterator[Asker]:
    """An app whose turns render their prompts."""
    async with asker(RenderedTurns(rooms)) as one:
        yield one


@pytest.mark.parametrize("api", APIS)
@given(data=st.data())
async def test_any_value_in_any_field_is_answered_or_refused_by_name(
    rendering: Asker, api: str, data: st.DataObject
) -> None:
    page = APIS[api]
    path = data.draw(st.sampled_from(sorted(page.CLAIMS)))
    tried = tries(page.EXAMPLES, path)[0]
    base = {**page.BASE, **tried.beside, **tried.along}
    value = data.draw(VALUES)
    answer = await rendering.post(page.PATH, placed(base, path, value))

    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        assert "'" in answer.json()["error"]["message"] or answer.json()["error"].get("param"), answer.text
