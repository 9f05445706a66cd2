"""``/docs``: the description, to be read and tried out in a browser.

All that the page needs comes from this server: at home there may be no internet, and what people ask their own model is
nobody else's business. Swagger UI itself is in the package fastapi-offline.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lemonade-like</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> says the same.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# A file of its own, so that no script has to be allowed inside of the page.
_START: Final = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: true,
  validatorUrl: null,
});
"""

#: Nothing from elsewhere, and nothing to elsewhere. Swagger UI sets styles on elements.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_READ: Final = ["GET", "HEAD"]
_FILES: Final[Mapping[str, str]] = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


def install_docs_page(app: FastAPI) -> None:
    """Put the page at ``/docs``."""
    router = APIRouter(prefix="/docs", include_in_schema=False)

    @router.api_route("", methods=_READ, response_model=None)
    async def page() -> Response:
        return Response(_PAGE, media_type="text/html", headers=_HEADERS)

    @router.api_route("/start.js", methods=_READ, response_model=None)
    async def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_HEADERS)

    for name, kind in _FILES.items():
        _serve(router, _assets() / name, kind)
    app.include_router(router)


def _serve(router: APIRouter, path: Path, kind: str) -> None:
    @router.api_route(f"/{path.name}", methods=_READ, response_model=None)
    async def asset() -> Response:
        return FileResponse(path, media_type=kind, headers={**_HEADERS, "Cache-Control": "max-age=3600"})


def _assets() -> Path:
    # Only its files are wanted: to import it costs memory.
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        raise RuntimeError("The package fastapi-offline is not installed, though lemonade-like requires it.")
    return Path(package.origin).parent / "static"
