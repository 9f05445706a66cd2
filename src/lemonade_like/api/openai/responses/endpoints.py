"""``POST /responses``, and what can be done with a response that is kept."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response

from lemonade_like.api.body import read_json_object
from lemonade_like.api.folded import folded
from lemonade_like.api.intake import for_client
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openai.responses.answers import (
    DeletedResponse,
    InputItemList,
    InputTokens,
    ResponseObject,
)
from lemonade_like.api.openai.responses.event_answers import ResponseStreamEvent
from lemonade_like.api.openai.responses.examples import INPUT, RESPONSE
from lemonade_like.api.openai.responses.header import response_header
from lemonade_like.api.openai.responses.items import kept_items, listed_servers
from lemonade_like.api.openai.responses.kept import kept_response, not_found, said_before, with_references
from lemonade_like.api.openai.responses.schema import CountInputTokensRequest, ItemIn, ResponsesRequest
from lemonade_like.api.openai.responses.tools import tools_left_out
from lemonade_like.api.openai.responses.turn import turn_request
from lemonade_like.api.openai.responses.words import own_words
from lemonade_like.api.openai.responses.writer import EventWriter, ResponseFold
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, note_answer, services
from lemonade_like.api.sse import EventStream
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.store.responses import StoredResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from lemonade_like.turns.events import Event
    from lemonade_like.turns.request import TurnRequest

BodyT = TypeVar("BodyT", bound=CountInputTokensRequest)

router = APIRouter(tags=["responses"])

#: Translating so many items takes about as long as one may hold up everybody else.
_MANY_ITEMS: Final = 500


@router.post(
    "/responses",
    response_model=None,
    summary="Answer a conversation of items",
    openapi_extra=json_body(ResponsesRequest, examples=RESPONSE),
    responses=answers(ResponseObject, events=ResponseStreamEvent),
)
async def create_response(request: Request) -> Response:
    """Answer a conversation with output items, whole or as a stream of events."""
    rooms = services(request)
    body, wanted, listed = await _read(request, ResponsesRequest)
    note(request.scope, model=wanted.model, stream=bool(body.stream))
    _note_tools_left_out(request, body)
    is_kept = body.store is not False and not rooms.responses.keeps_nothing
    header = response_header(body, stored=is_kept, listed=listed)
    fold = ResponseFold(header)

    async def keep() -> None:
        items = kept_items(body.input or (), header.id)
        stored = StoredResponse(header.id, fold.response(), items, body.previous_response_id)
        await rooms.responses.put(wanted.owner, stored)

    batches = _followed(rooms.turns.run(wanted), fold if is_kept and body.stream else None, keep)
    if body.stream:
        writer = EventWriter(header)
        return EventStream(
            batches,
            writer,
            on_end=lambda: note_answer(request.scope, writer),
            keep_alive_seconds=rooms.keep_alive_seconds,
        )

    await folded(request, batches, fold)
    if is_kept:
        await keep()
    return json_answer(fold.response())


@router.post(
    "/responses/input_tokens",
    response_model=None,
    summary="Count the tokens of a conversation of items",
    openapi_extra=json_body(CountInputTokensRequest, examples=INPUT),
    responses=answers(InputTokens),
)
async def count_input_tokens(request: Request) -> Response:
    """Say how many tokens the prompt of a response would have. Takes the same body, and generates nothing."""
    body, wanted, _ = await _read(request, CountInputTokensRequest)
    note(request.scope, model=wanted.model)
    _note_tools_left_out(request, body)
    try:
        prompt = await services(request).turns.render(wanted)
    except BadRequest as error:
        raise own_words(error) from error
    return json_answer({"object": "response.input_tokens", "input_tokens": len(prompt.ids)})


@router.get(
    "/responses/{response_id}",
    response_model=None,
    summary="Show a response",
    responses=answers(ResponseObject),
)
async def retrieve_response(request: Request, response_id: str, stream: bool = False) -> Response:
    """Show a response that is kept, as it was answered."""
    if stream:
        raise BadRequest(
            "'stream' is not supported here: a response is kept when it is whole. Ask for it without.",
            param="stream",
            code="invalid_value",
        )
    stored = await kept_response(services(request).responses, _owner(request), response_id)
    return json_answer(stored.response)


@router.delete(
    "/responses/{response_id}",
    response_model=None,
    summary="Forget a response",
    responses=answers(DeletedResponse),
)
async def delete_response(request: Request, response_id: str) -> Response:
    """Forget a response. Those that continue it cannot be continued any more."""
    if not await services(request).responses.delete(_owner(request), response_id):
        raise not_found(response_id)
    return json_answer({"id": response_id, "object": "response", "deleted": True})


@router.get(
    "/responses/{response_id}/input_items",
    response_model=None,
    summary="List the input of a response",
    responses=answers(InputItemList),
)
async def list_input_items(
    request: Request,
    response_id: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """List the items of a response's own input, page by page, the last one first."""
    stored = await kept_response(services(request).responses, _owner(request), response_id)
    items = stored.input if order == "asc" else stored.input[::-1]
    if after is not None:
        place = next((place for place, item in enumerate(items) if item["id"] == after), None)
        if place is None:
            raise BadRequest(
                f"'after' is '{after}', but the input has no item with this id.", param="after", code="invalid_value"
            )
        items = items[place + 1 :]
    page = items[:limit]
    return json_answer(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(items) > limit,
        }
    )


async def _read(request: Request, form: type[BodyT]) -> tuple[BodyT, TurnRequest, frozenset[str]]:
    """The body with all items in place, the turn for the client that sent it, and of which tool servers the
    conversation tells already."""
    store, owner = services(request).responses, _owner(request)
    data = await read_json_object(request)
    said = data.get("input")
    long = isinstance(said, list) and len(said) > _MANY_ITEMS
    body = await asyncio.to_thread(validated, form, data) if long else validated(form, data)
    before = await said_before(store, owner, body.previous_response_id)
    items = await with_references(store, owner, body.input or ())
    body = body.model_copy(update={"input": items})

    def translate() -> tuple[TurnRequest, frozenset[str]]:
        history = [ItemIn.model_validate(item) for item in before]
        return turn_request(body, history), listed_servers((*history, *items))

    long = len(before) + len(items) > _MANY_ITEMS
    turn, listed = await asyncio.to_thread(translate) if long else translate()
    return body, for_client(request, turn), listed


async def _followed(
    batches: AsyncGenerator[list[Event], None],
    fold: ResponseFold | None,
    keep: Callable[[], Awaitable[None]],
) -> AsyncGenerator[Sequence[Event], None]:
    """The batches of a turn, its errors in the words of this API. With a ``fold`` the response is kept before its end
    is told: the client may go on at once."""
    try:
        async with aclosing(batches):
            async for batch in batches:
                if fold is not None:
                    fold.add(batch)
                    if fold.finished:
                        await keep()
                yield batch
    except BadRequest as error:
        raise own_words(error) from error


def _owner(request: Request) -> str:
    owner: str = getattr(request.state, "owner", "")
    return owner


def _note_tools_left_out(request: Request, body: CountInputTokensRequest) -> None:
    if left_out := tools_left_out(body.tools):
        note(request.scope, tools_left_out=",".join(left_out))
