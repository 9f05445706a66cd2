"""Requests that schemathesis makes up, and what has to be so of every answer to them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.config import GenerationConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.support.described import Described

#: Of so many requests that name a model one names a model that nobody knows.
_UNKNOWN = 8
_TIMEOUT = 60

#: By what a body says, how it is told how long the answer may be.
_LIMITS = {"messages": "max_tokens", "prompt": "max_tokens", "input": "max_output_tokens"}
_TOKENS = 64


class Fuzzer:
    """Sends made-up requests to a server, and checks what comes back. ``model`` is one that it serves."""

    def __init__(self, url: str, model: str) -> None:
        self.url = url
        self._model = model
        #: Those of all answers so far.
        self.statuses: set[int] = set()
        document = requests.get(f"{url}/openapi.json", timeout=_TIMEOUT).json()
        self.schema = schemathesis.openapi.from_dict(document)
        self._described = Described(document)
        self._session = requests.Session()
        self._sent = 0

    def operation(self, label: str) -> Any:
        """What is called so, such as ``GET /v1/models``."""
        found = self.schema.find_operation_by_label(label)
        assert found is not None, label
        return found

    def cases(self, label: str, most: int) -> Iterator[Case]:
        """Yield requests at the edges of what the description allows, and beyond; ``most`` of them, evenly chosen."""
        every = list(
            self.schema.iter_coverage_cases(
                self.operation(label),
                generation_modes=list(GenerationMode),
                generation_config=GenerationConfig(deterministic=True),
            )
        )
        return islice(every, 0, None, max(1, -(-len(every) // most)))

    def send(self, case: Case) -> None:
        """Send a request, and raise what is wrong with the answer."""
        self._sent += 1
        self._aim(case.body)
        response = case.call_and_validate(
            base_url=self.url,
            session=self._session,
            timeout=_TIMEOUT,
            checks=[
                fails_as_described,
                status_code_conformance,
                content_type_conformance,
                response_headers_conformance,
                response_schema_conformance,
                negative_data_rejection,
                unsupported_method,
            ],
            additional_checks=[self._as_described],
        )
        self.statuses.add(response.status_code)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _aim(self, body: Any) -> None:
        """Have most requests be for a model that is there, and none go on for ever: odd samplers never stop."""
        if not isinstance(body, dict):
            return
        if self._sent % _UNKNOWN:
            for name in ("model", "model_name"):
                if isinstance(body.get(name), str) and body[name]:
                    body[name] = self._model
        for said, limit in _LIMITS.items():
            if said in body and not any(name in body for name in _LIMITS.values()):
                body[limit] = _TOKENS

    def _as_described(self, context: CheckContext, response: Response, case: Case) -> None:
        """More than schemathesis asks: no field, and no event, that the description does not have."""
        headers = {name: values[0] for name, values in response.headers.items()}
        path = urlsplit(response.request.url or "").path
        self._described.check(response.request.method or "", path, response.status_code, headers, response.content)


def fails_as_described(context: CheckContext, response: Response, case: Case) -> None:
    """The server itself never fails; the places that models and engines come from may."""
    assert response.status_code < 500 or response.status_code == 502, response.text
