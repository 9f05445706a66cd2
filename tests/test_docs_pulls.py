"""docs/models.md has every error of a pull and a deletion, with its status, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from lemonade_like.models import hub_errors
from lemonade_like.models.hub_errors import DownloadError

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "lemonade_like"


def documented() -> dict[str, str]:
    """Code -> status, out of the tables."""
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", (ROOT / "docs" / "models.md").read_text(encoding="utf-8"), re.M)
    return {code: status for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"code ?= ?\"(\w+)\"", text))


def test_every_error_of_a_pull_and_a_deletion_is_documented_and_exists() -> None:
    rooms = ("hub_errors", "hub", "fetch", "pull", "pulling", "space", "management", "deletion", "variants")
    ours = {code for room in rooms for code in codes_in((SOURCES / "models" / f"{room}.py").read_text())}
    everywhere = {code for file in SOURCES.rglob("*.py") for code in codes_in(file.read_text())}
    shown = documented()
    assert ours - set(shown) == set()
    assert set(shown) - everywhere == set()


def test_the_documented_status_is_the_one_that_is_sent() -> None:
    kinds = [kind for kind in vars(hub_errors).values() if isinstance(kind, type) and issubclass(kind, DownloadError)]
    statuses = {kind.default_code: str(kind.status) for kind in kinds}
    shown = documented()
    assert {code: shown.get(str(code)) for code in statuses} == statuses
