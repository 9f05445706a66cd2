"""docs/api/README.md lists what there is, and docs/api/errors.md every error that a client can get."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lemonade_like
from lemonade_like.api.routes import endpoints
from lemonade_like.app import create_app
from lemonade_like.errors import ServerError
from lemonade_like.settings import Settings
from tests.support.turns import client_of, scripted_app

DOCS = Path(__file__).parents[1] / "docs" / "api"
README = (DOCS / "README.md").read_text()
ERRORS = (DOCS / "errors.md").read_text()
SOURCE = Path(lemonade_like.__file__).parent

#: What only whoever sits at the machine is told.
_NOT_FOR_CLIENTS = ("lemonade_like.cli", "lemonade_like.settings", "lemonade_like.configuration")


def described() -> dict[str, str]:
    """The summary of each operation."""
    return {
        f"{method.upper()} {path}": operation["summary"]
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method, operation in methods.items()
    }


def index() -> dict[str, tuple[str, str]]:
    """What the page lists: by endpoint its summary, and the page where it is explained."""
    rows = re.findall(r"^\| `(\w+ /\S+)` \| (.+?) \| \[.+?\]\((.+?)\) \|$", README, re.MULTILINE)
    return {name: (summary, page) for name, summary, page in rows}


@pytest.mark.parametrize(("name", "summary"), described().items())
def test_an_endpoint_is_in_the_index(name: str, summary: str) -> None:
    row = f"| `{name}` | {summary} | [PAGE.md](PAGE.md) |"
    assert name in index(), f"docs/api/README.md lacks an endpoint. Add this row, with its page:\n{row}"
    assert index()[name][0] == summary, f"docs/api/README.md says something else than the endpoint's summary:\n{row}"


def test_the_index_has_nothing_that_is_not_there() -> None:
    assert set(index()) - set(described()) == set()


@pytest.mark.parametrize(("name", "page"), [(name, page) for name, (_, page) in index().items()])
def test_the_page_of_an_endpoint_tells_of_it(name: str, page: str) -> None:
    text = (DOCS / page).read_text()
    path = re.sub(r"\{.*", "", name.split(" ")[1]).removeprefix("/v1")
    assert path in text, f"docs/api/{page} does not mention {name}."


def test_every_endpoint_of_the_app_is_an_operation() -> None:
    documented = {name.split(" ")[1] for name in described()}
    here = {path.replace(":path}", "}") for path, _ in endpoints() if path.startswith("/v1/")}
    assert here == documented


def kinds() -> dict[str, type[ServerError]]:
    """Every kind of error, by its name."""
    for module in pkgutil.walk_packages(lemonade_like.__path__, "lemonade_like."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {kind.__name__: kind for kind in _below(ServerError) if not kind.__module__.startswith(_NOT_FOR_CLIENTS)}


def _below(kind: type[ServerError]) -> Iterator[type[ServerError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)


def raised() -> set[tuple[int, str, str]]:
    """Status, code and type of all that the source can answer with, as far as it is said where it is made."""
    known = kinds()
    found = {
        (kind.status, kind.default_code, kind.type) for kind in known.values() if isinstance(kind.default_code, str)
    }
    for file in SOURCE.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
            kind = known.get(call.func.id) if isinstance(call.func, ast.Name) else None
            code = next((each.value for each in call.keywords if each.arg == "code"), None)
            if kind is not None and isinstance(code, ast.Constant) and isinstance(code.value, str):
                found.add((kind.status, code.value, kind.type))
    return found


def table() -> set[tuple[int, str, str]]:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| `(\w+)` \|.+\|.+\| (yes|then|no) \|$", ERRORS, re.MULTILINE)
    return {(int(status), code, kind) for status, code, kind, _ in rows}


def test_every_error_is_in_the_table() -> None:
    missing = sorted(raised() - table())
    rows = "\n".join(
        f"| {status} | `{code}` | `{kind}` | WHEN | WHAT TO DO | yes/then/no |" for status, code, kind in missing
    )
    assert missing == [], f"docs/api/errors.md lacks:\n{rows}"


def test_the_table_has_no_error_that_cannot_be() -> None:
    texts = {
        node.value
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # Of a schema it is said what is wrong with it, and then that it is a schema.
    made = {f"{kind}_json_schema" for kind in ("invalid", "unsupported", "impossible")}
    assert {code for _, code, _ in table()} - texts - made == set()


def test_every_row_can_be_read() -> None:
    rows = [line for line in ERRORS.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == len(table())


def test_the_table_agrees_with_what_a_client_may_send_again() -> None:
    """What has Retry-After is worth another try."""
    again = dict(re.findall(r"^\| \d+ \| `(\w+)` .*\| (\w+) \|$", ERRORS, re.MULTILINE))
    passing = {kind.default_code for kind in kinds().values() if kind.status in (429, 503) and kind.default_code}
    assert {again[code] for code in passing} == {"yes"}


async def test_the_example_is_what_is_answered() -> None:
    example = re.search(r"```json\n(.+?)\n```", ERRORS, re.DOTALL)
    assert example is not None
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "temperature": 9}
    async with client_of(scripted_app()) as client:
        answer = await client.post("/v1/chat/completions", json=body)
    assert answer.json() == json.loads(example[1])
