"""``GET /metrics``: what Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.services import observed, services

router = APIRouter(tags=["observability"])


@router.get(
    "/metrics",
    response_class=Response,
    summary="Tell Prometheus what there is to count",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "All metrics"}},
)
async def get_metrics(request: Request) -> Response:
    """Give all metrics in Prometheus's text format, or in OpenMetrics for whoever accepts that."""
    pool = services(request).pool
    models = await pool.status()
    page, content_type = observed(request).metrics.page(
        models, draining=pool.draining, accept=request.headers.get("accept", "")
    )
    return Response(page, headers={"Content-Type": content_type})
