"""Metrics: each counted once, well named, and with no label that a client can make up."""

from __future__ import annotations

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from lemonade_like.observe.metrics import Metrics
from tests.support.observed import a_record, a_status, exercised_metrics, samples_of, value
from tests.support.turns import HELLO, FakePool, ScriptedTurns, client_of, scripted_app, scripted_services


def page_of(metrics: Metrics, *statuses: object, draining: bool = False) -> str:
    page, _ = metrics.page(statuses, draining=draining)  # type: ignore[arg-type]
    return page.decode()


def test_every_metric_is_named_helped_and_typed_once() -> None:
    page = page_of(exercised_metrics(), a_status())
    for kind in ("HELP", "TYPE"):
        names = re.findall(rf"^# {kind} (\S+)", page, re.MULTILINE)
        assert len(names) == len(set(names))
    for family in text_string_to_metric_families(page):
        assert family.samples, family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        assert re.fullmatch(r"(lemonade_like|process)_[a-z_]+[a-z]", family.name)
        assert not re.search(r"_(ms|milliseconds|mb|kb|total|count|sum|bucket)$", family.name)
        assert "_created" not in "".join(sample.name for sample in family.samples)


def test_a_histogram_ends_in_all_that_was_seen() -> None:
    samples = samples_of(page_of(exercised_metrics()))
    for (name, labels), counted in samples.items():
        if name.endswith("_count"):
            bucket = (f"{name.removesuffix('_count')}_bucket", labels | {("le", "+Inf")})
            assert samples[bucket] == counted


def test_a_turn_counts_what_its_record_says() -> None:
    metrics = Metrics("1")
    metrics.turn(a_record())
    metrics.turn(a_record(outcome="cancelled", time_to_first_token=None, waited=None))
    metrics.turn(a_record(outcome="error", error="queue_full"))
    samples = samples_of(page_of(metrics))

    for outcome in ("stop", "cancelled", "error"):
        assert value(samples, "turns_total", model="m", outcome=outcome) == 1
    assert value(samples, "turn_errors_total", model="m", code="queue_full") == 1
    assert value(samples, "prompt_tokens_total", model="m") == 30
    assert value(samples, "cached_prompt_tokens_total", model="m") == 12
    assert value(samples, "generated_tokens_total", model="m", channel="analysis") == 3
    assert value(samples, "generated_seconds_total", model="m", channel="final") == 1.5
    assert value(samples, "recoveries_total", model="m", kind="missing_end") == 6
    assert value(samples, "tool_calls_total", model="m") == 3
    assert value(samples, "time_to_first_token_seconds_count", model="m") == 2
    assert value(samples, "queue_wait_seconds_sum", model="m") == 2.0
    assert value(samples, "turn_duration_seconds_sum", model="m") == 12.0
    assert value(samples, "inter_token_seconds_count", model="m") == 8
    assert value(samples, "inter_token_seconds_sum", model="m") == 80.0
    assert value(samples, "inter_token_seconds_bucket", model="m", le="5.0") == 0


def test_names_that_are_none_make_no_series() -> None:
    metrics = Metrics("1")
    for method, endpoint in (("BREW", None), ("GET", None)):
        metrics.request(method, endpoint, 404, 0.1)
    metrics.turn(a_record(model=None, outcome="error", error="model_not_found"))
    page = page_of(metrics, a_status(name="made/up:Q4_0", state="loading", memory_estimate=0))
    samples = samples_of(page)

    assert value(samples, "http_requests_total", method="unknown", endpoint="unknown", status="404") == 1
    assert value(samples, "turn_errors_total", model="unknown", code="model_not_found") == 1
    assert "made/up" not in page and "BREW" not in page


def test_the_pool_is_told_as_it_is_now() -> None:
    metrics = Metrics("1")
    first = samples_of(page_of(metrics, a_status(), draining=True))
    later = samples_of(page_of(metrics, a_status(state="restarting", waiting=(), memory_resident=None)))

    assert (value(first, "queue_length", model="m"), value(later, "queue_length", model="m")) == (2, 0)
    assert value(first, "queue_oldest_seconds", model="m") == 3.0
    assert (value(first, "running_turns", model="m"), value(first, "slots", model="m")) == (1, 4)
    assert (value(first, "models_loaded"), value(later, "models_loaded")) == (1, 0)
    assert value(later, "model_state", model="m", state="restarting") == 1
    assert value(later, "model_state", model="m", state="ready") == 0
    assert value(first, "model_memory_bytes", model="m", kind="resident") == 900
    assert not any("resident" in dict(labels).values() for _, labels in later)
    assert (value(first, "draining"), value(later, "draining")) == (1, 0)


def test_two_apps_in_one_process_count_apart() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.turn(a_record())
    assert "outcome" not in page_of(other)


async def test_the_page_is_at_the_root_and_under_both_prefixes() -> None:
    app = scripted_app(scripted_services(ScriptedTurns(HELLO), FakePool(a_status())))
    async with client_of(app) as client:
        for path in ("/metrics", "/v1/metrics", "/api/v1/metrics"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert value(samples_of(answer.text), "queue_length", model="m") == 2


async def test_whoever_accepts_open_metrics_gets_it() -> None:
    async with client_of(scripted_app(scripted_services(pool=FakePool(a_status())))) as client:
        answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in open_metrics(answer.text)} >= {"lemonade_like_draining", "lemonade_like_turns"}


@pytest.mark.parametrize("accept", ["", "*/*", "nonsense", "text/html;q=x", "application/openmetrics-text; version=99"])
async def test_any_accept_header_gets_an_answer(accept: str) -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/metrics", headers={"Accept": accept})).status_code == 200


async def test_requests_are_counted_by_their_route_whatever_is_in_the_path() -> None:
    async with client_of(scripted_app()) as client:
        await client.get("/v1/models/tiny")
        await client.get("/api/v1/models/org/local")
        await client.get("/v1/models/not-there-at-all")
        await client.get("/secret-path-of-a-client")
        await client.request("BREW", "/live")
        page = (await client.get("/metrics")).text
    samples = samples_of(page)
    found = {dict(labels)["endpoint"] for name, labels in samples if name == "lemonade_like_http_requests_total"}

    assert found == {"/models/{model_id:path}", "/live", "unknown"}
    assert value(samples, "http_requests_total", method="GET", endpoint="/models/{model_id:path}", status="200") == 2
    assert "not-there" not in page and "secret-path" not in page and "BREW" not in page
