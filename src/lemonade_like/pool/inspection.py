"""What an engine says of itself, passed on as it is, to those who look after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lemonade_like.engine.client import EngineConnectionLost, EngineResponseError
from lemonade_like.errors import BadRequest, EngineFailure, EngineUnavailable, ModelNotLoaded, NotOffered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.engine.client import EngineClient

Inspected = Literal["slots", "props"]


def only_one(loaded: Sequence[str]) -> str:
    """Return the model that is meant where none is named.

    Raises:
        ModelNotLoaded: none is loaded.
        BadRequest: several are.
    """
    if not loaded:
        raise ModelNotLoaded("No model is loaded, so no engine runs. A request to a model, or POST /v1/load, loads it.")
    if len(loaded) > 1:
        raise BadRequest(
            f"'model' is required, because several models are loaded: {', '.join(sorted(loaded))}.",
            param="model",
            code="missing_required_parameter",
        )
    return loaded[0]


async def inspect(model: str, engine: EngineClient | None, what: Inspected) -> bytes:
    """Return what the engine answers at ``/slots`` or ``/props``, as JSON.

    Raises:
        ModelNotLoaded: there is no engine.
        NotOffered: it has no such endpoint.
        EngineUnavailable: it does not answer, or not now.
        EngineFailure: it answers with any other error.
    """
    if engine is None:
        raise ModelNotLoaded(
            f"{model} is not loaded, so it has no {what}. A request to it, or POST /v1/load, loads it.", param="model"
        )
    try:
        return await engine.inspect("/slots" if what == "slots" else "/props")
    except EngineConnectionLost as error:
        raise EngineUnavailable(f"The engine of {model} did not say its {what}: {error}") from error
    except EngineResponseError as error:
        if error.status in (404, 501):
            raise NotOffered(
                f"The engine of {model} does not offer /{what} ({error.message}). Load it without --no-{what}, or with "
                "an engine that has it."
            ) from error
        raise EngineFailure(f"The engine of {model} did not say its {what}: {error.message}") from error
