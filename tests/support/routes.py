"""All endpoints that an app has, however they were put there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts

if TYPE_CHECKING:
    from fastapi import FastAPI


def endpoints(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of each, the path as it is declared: ``/v1/models/{model_id:path}``."""
    found = {
        (method, route.path or "")
        for route in iter_route_contexts(app.routes)
        for method in (route.methods or {"WEBSOCKET"}) - {"HEAD"}
    }
    return sorted(found, key=lambda endpoint: endpoint[::-1])


def filled_in(path: str) -> str:
    """A path that leads to the endpoint."""
    return re.sub(r"\{\w+(:path)?\}", lambda step: "some/thing" if step[1] else "something", path)
