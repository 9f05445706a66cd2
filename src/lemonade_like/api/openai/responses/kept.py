"""What was said before, as far as it is kept: conversations by their last response, and items by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lemonade_like.api.openai.responses.ids import response_of
from lemonade_like.api.openai.responses.schema import ItemIn
from lemonade_like.errors import BadRequest, ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.store.responses import ResponseStore, StoredResponse


class ResponseNotFound(ServerError):
    """No response of that id is kept for this client."""

    status = 404
    type = "invalid_request_error"
    default_code = "response_not_found"


class ItemNotFound(ServerError):
    """No item of that id is kept for this client."""

    status = 404
    type = "invalid_request_error"
    default_code = "item_not_found"


async def kept_response(store: ResponseStore, owner: str, response_id: str) -> StoredResponse:
    """Return a response. Raises ``ResponseNotFound``."""
    stored = await store.get(owner, response_id)
    if stored is None:
        raise not_found(response_id)
    return stored


def not_found(response_id: str) -> ResponseNotFound:
    """Return the error for a response that is not kept."""
    return ResponseNotFound(
        f"Response with id '{response_id}' not found. It was never kept here ('store': false), was deleted, or had to "
        "make room for others.",
        param="response_id",
    )


async def said_before(store: ResponseStore, owner: str, response_id: str | None) -> list[dict[str, Any]]:
    """Return all items of the conversation up to this response, its own output included.

    Raises:
        BadRequest: the response, or one that it continues, is not kept.
    """
    if response_id is None:
        return []
    chain = await store.chain(owner, response_id)
    missing = chain[0].previous_id if chain else response_id
    if missing is not None:
        which = "Previous response" if missing == response_id else "A response that the previous response continues,"
        raise BadRequest(
            f"{which} with id '{missing}' not found. It was never kept here ('store': false), was deleted, or had to "
            "make room for others: send the whole conversation as 'input'.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return [item for stored in chain for item in (*stored.input, *stored.response["output"])]


async def with_references(store: ResponseStore, owner: str, items: Sequence[ItemIn]) -> list[ItemIn]:
    """Return the items with those that are only named put in their places.

    Raises:
        ItemNotFound: one is not kept.
    """
    found: dict[str, ItemIn] = {}
    whole = []
    for index, item in enumerate(items):
        if item.type != "item_reference":
            whole.append(item)
            continue
        item_id = item.id or ""
        if item_id not in found:
            response_id = response_of(item_id)
            stored = await store.get(owner, response_id) if response_id is not None else None
            if stored is not None:
                found |= _by_id([*stored.input, *stored.response["output"]])
        if item_id not in found:
            raise ItemNotFound(
                f"Item with id '{item_id}' not found (input[{index}]). Items are not kept when 'store' is false. Send "
                "the item itself instead of a reference.",
                param=f"input[{index}].id",
            )
        whole.append(found[item_id])
    return whole


def _by_id(items: Sequence[dict[str, Any]]) -> dict[str, ItemIn]:
    return {item["id"]: ItemIn.model_validate(item) for item in items}
