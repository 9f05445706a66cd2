"""/docs works without any other host, and allows none."""

from __future__ import annotations

import re

import pytest

from tests.support.turns import client_of, scripted_app


async def test_the_page_and_all_that_it_loads_come_from_this_server() -> None:
    async with client_of(scripted_app()) as client:
        page = await client.get("/docs")
        loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
        answers = {path: await client.get(f"/{path}") for path in loaded if not path.startswith("data:")}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert set(answers) == {"docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js", "openapi.json"}
    assert all(answer.status_code == 200 and answer.content for answer in answers.values())
    assert "://" not in answers["docs/start.js"].text
    assert not re.search(r"@import|url\(\s*['\"]?https?:", answers["docs/swagger-ui.css"].text)


async def test_a_browser_is_told_to_load_nothing_from_elsewhere_and_no_script_inside_of_the_page() -> None:
    async with client_of(scripted_app()) as client:
        page = await client.get("/docs")
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/docs/favicon.png"])
async def test_what_would_come_from_elsewhere_or_is_of_no_use_is_not_there(path: str) -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get(path)).status_code == 404
