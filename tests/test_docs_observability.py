"""docs/observability.md and the dashboard tell what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lemonade_like.api.lemonade.logs import MOST_LINES
from lemonade_like.observe.lines import KEPT
from lemonade_like.observe.record import CHANNELS
from lemonade_like.observe.tracing import turn_attributes
from lemonade_like.settings.observing import Observing
from lemonade_like.turns.request import Sampling, TurnRequest
from tests.support.observed import a_record, a_status, exercised_metrics

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "observability.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "lemonade-like.json").read_text(encoding="utf-8"))

#: What Prometheus itself adds to every series.
SCRAPED = {"instance", "job"}


def _metrics() -> dict[str, tuple[str, frozenset[str], str]]:
    """Each metric's type, labels and help, by its name as the page of metrics spells it."""
    page, _ = exercised_metrics().page([a_status()], draining=False)
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, labels, family.documentation)
    return found


METRICS = _metrics()
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def test_the_table_has_every_metric_with_its_type_its_labels_and_its_help() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    told = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows}
    assert told == {name: metric for name, metric in METRICS.items() if name.startswith("lemonade_like_")}
    assert len(rows) == len(told)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_panel_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    selectors = re.findall(r"\b((?:lemonade_like|process)_\w+)\{(.*?)\}", expression)
    assert selectors
    labels: set[str] = set()
    for name, matchers in selectors:
        labels |= _labels_of(name)
        assert set(re.findall(r"(\w+)\s*(?:=~|=|!=)", matchers)) <= _labels_of(name) | SCRAPED
    for grouping in re.findall(r"\bby \((.*?)\)", expression):
        assert set(grouping.split(", ")) <= labels | SCRAPED
    assert len(re.findall(r"\b(?:lemonade_like|process)_\w+", expression)) == len(selectors)


def _labels_of(name: str) -> set[str]:
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    if base != name and METRICS.get(base, ("",))[0] == "histogram":
        return {*METRICS[base][1], *(["le"] if name.endswith("_bucket") else [])}
    return set(METRICS[name][1])


def test_the_dashboard_shows_every_metric() -> None:
    asked = " ".join(EXPRESSIONS)
    assert [name for name in METRICS if name.startswith("lemonade_like_") and name not in asked] == []


def test_the_dashboard_can_be_imported_anywhere() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    used = set(re.findall(r"\$(\w+)", " ".join(EXPRESSIONS))) - {"__rate_interval"}
    assert used <= set(variables)
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_scrape_configuration_is_yaml_that_prometheus_knows() -> None:
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", PAGE, re.DOTALL)
    (job,) = yaml.safe_load(block)["scrape_configs"]
    assert set(job) == {"job_name", "metrics_path", "authorization", "static_configs"}
    assert job["metrics_path"] == "/metrics"


def test_the_page_names_every_setting_channel_and_attribute() -> None:
    request = TurnRequest("M", (), sampling=Sampling(0.1, 0.2, 3, 0.4, 0.5), max_tokens=6)
    attributes = turn_attributes(a_record(request=request)) | turn_attributes(a_record(outcome="error", error="x"))
    names = [*Observing.model_fields, *CHANNELS, *attributes]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert f"{KEPT:,}" in PAGE
    assert MOST_LINES == KEPT
