"""Whatever fits /openapi.json, and whatever does not, is answered as it says; nothing makes the server fail.

A server of its own, with the real engine; models and engines come from servers of the test, so that all may be pulled,
installed, loaded and deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode

from lemonade_like.app import create_app
from lemonade_like.settings import Settings
from tests.e2e.conftest import ONE_THREAD
from tests.support.data import keep_data_in
from tests.support.fuzzing import Fuzzer
from tests.support.hub import running_hub
from tests.support.releases import SERVING_ENGINE, release_of, release_server
from tests.support.server_process import address, server_process

MODEL = "tiny-gpt-oss"
#: Requests for each operation in the suite; there are about 5,000 in all.
FEW = 6

#: The one ends the server, and the other never ends.
_LAST = {"POST /v1/shutdown", "GET /v1/logs/stream"}

OPERATIONS = [
    name
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method in methods
    if (name := f"{method.upper()} {path}") not in _LAST
]


@pytest.fixture(scope="module")
def fuzzer(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzer]:
    """Sends requests to a server with nothing that anybody would miss."""
    folder = tmp_path_factory.mktemp("fuzzed")
    log = folder / "server.log"
    repos = {"org/tiny-GGUF": {"tiny-Q8_0.gguf": b"GGUF and nothing else"}}
    releases = {"b100": release_of("b100", SERVING_ENGINE)}
    with (
        running_hub(repos) as hub,
        release_server(releases) as mirror,
        pytest.MonkeyPatch.context() as patch,
        log.open("w") as stderr,
    ):
        keep_data_in(folder / "data", patch)
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.delenv("HF_HUB_CACHE", raising=False)
        patch.setenv("LEMONADE_LIKE_RELEASES_URL", mirror.url)
        patch.setenv("LEMONADE_LIKE_BACKENDS_DIR", str(folder / "backends"))
        with server_process(cache_dir, "--model", MODEL, *ONE_THREAD, stderr=stderr.fileno()) as process:
            one = Fuzzer(address(process), MODEL)
            yield one
            one.close()
            process.terminate()
            assert process.wait() == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_requests_at_the_edges_are_answered_as_described(fuzzer: Fuzzer, operation: str) -> None:
    sent = [fuzzer.send(case) for case in fuzzer.cases(operation, FEW)]
    assert sent


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_all_requests_at_the_edges_are_answered_as_described(fuzzer: Fuzzer, operation: str) -> None:
    for case in fuzzer.cases(operation, 10_000):
        fuzzer.send(case)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_made_up_requests_are_answered_as_described(fuzzer: Fuzzer, operation: str, mode: GenerationMode) -> None:
    strategy = fuzzer.operation(operation).as_strategy(generation_mode=mode)

    @given(strategy)
    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Case) -> None:
        fuzzer.send(case)

    try:
        run()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "a request that the description allows cannot be made"


def test_the_server_is_well_afterwards(fuzzer: Fuzzer) -> None:
    assert httpx.get(f"{fuzzer.url}/v1/health").json()["status"] == "ok"
    assert fuzzer.statuses >= {200, 400, 404, 405}
