"""The releases of llama.cpp, as GitHub's API tells of them, and their files."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import httpx

from lemonade_like.engine.backends.assets import NoSuchVersion, ReleasesFailed, has_engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lemonade_like.engine.backends.assets import BackendError

    Progress = Callable[[str, int, int], None]

REPOSITORY: Final = "ggml-org/llama.cpp"

_CONNECT_SECONDS: Final = 15.0
_CHUNK: Final = 1 << 20
_LARGEST_FILE: Final = 8 << 30
_LARGEST_ANSWER: Final = 16 << 20
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)
#: A release with a version for people (v0.7.0) has no engines: this file of it names the build (b11462) that has them.
_POINTER: Final = "nightly-tag.txt"
_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Asset:
    """A file of a release. ``sha256`` is what the release publishes, in lower case, or ``None`` where it does not."""

    name: str
    url: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Release:
    """``tag`` is its version, such as ``b11462``."""

    tag: str
    assets: tuple[Asset, ...]

    def asset(self, name: str) -> Asset:
        """Return the file of that name, which must be one of its own."""
        return next(asset for asset in self.assets if asset.name == name)


class Releases:
    """Asks one server, GitHub's API or a mirror of it, for releases of llama.cpp.

    ``token`` goes to that server only, and never without encryption over a network. ``seconds`` is how long it may say
    nothing.
    """

    def __init__(self, url: str, client: httpx.Client, token: str | None = None, seconds: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._client = client
        self._timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
        self._token = token if token and _keeps_secrets(httpx.URL(url)) else None

    def find(self, version: str | None, *, allow_unverified: bool = False) -> Release:
        """Return the release of that tag, or the latest; where it has no engines, the one that it names.

        Raises ``BackendError``.
        """
        if version is not None and not _TAG.fullmatch(version):
            raise NoSuchVersion(f"{version!r} is no version of llama.cpp.\nVersions look like b11462.", param="version")
        release = self._get(f"tags/{version}" if version else "latest")
        pointer = next((asset for asset in release.assets if asset.name == _POINTER), None)
        if pointer is None or has_engines(asset.name for asset in release.assets):
            return release
        tag = self._read_small(pointer, allow_unverified=allow_unverified).strip()
        if not _TAG.fullmatch(tag):
            raise ReleasesFailed(f"{pointer.url} does not name a version of llama.cpp.\nName one with --version.")
        return self._get(f"tags/{tag}")

    def fetch(self, asset: Asset, target: Path, *, allow_unverified: bool, progress: Progress) -> str:
        """Write the file to ``target``, and return its sha256 only if it is what the release says it is.

        ``progress`` is told name, bytes so far, and bytes in all. Raises ``BackendError``; what is then at ``target``
        is worth nothing.
        """
        self._check_verifiable(asset, allow_unverified=allow_unverified)
        digest = hashlib.sha256()
        done = 0
        progress(asset.name, 0, asset.size)
        with target.open("wb") as file:
            for chunk in self._stream(asset):
                done += len(chunk)
                if done > (asset.size or _LARGEST_FILE):
                    raise ReleasesFailed(f"{asset.url} is larger than the release says ({asset.size} bytes).")
                digest.update(chunk)
                file.write(chunk)
                progress(asset.name, done, asset.size)
        self._check(asset, done, digest.hexdigest())
        return digest.hexdigest()

    def _read_small(self, asset: Asset, *, allow_unverified: bool) -> str:
        self._check_verifiable(asset, allow_unverified=allow_unverified)
        content = b""
        for chunk in self._stream(asset):
            content += chunk
            if len(content) > 1024:
                raise ReleasesFailed(f"{asset.url} does not name a version of llama.cpp.\nName one with --version.")
        self._check(asset, len(content), hashlib.sha256(content).hexdigest())
        return content.decode(errors="replace")

    @staticmethod
    def _check_verifiable(asset: Asset, *, allow_unverified: bool) -> None:
        if asset.sha256 is None and not allow_unverified:
            raise ReleasesFailed(
                f"The release publishes no sha256 for {asset.name}: nobody can tell whether it is whole and genuine.\n"
                "--allow-unverified installs it all the same."
            )

    @staticmethod
    def _check(asset: Asset, size: int, sha256: str) -> None:
        if asset.size and size != asset.size:
            raise ReleasesFailed(
                f"{asset.name} ended after {size} of {asset.size} bytes.\nRun the command again; nothing was changed."
            )
        if asset.sha256 is not None and sha256 != asset.sha256:
            raise ReleasesFailed(
                f"{asset.name} is not what the release says: its sha256 is {sha256},\nand should be {asset.sha256}. "
                "Nothing was changed. If it happens again, do not trust the mirror or proxy that it came through."
            )

    def _stream(self, asset: Asset) -> Iterator[bytes]:
        with (
            self._explained(asset.url),
            # Not packed once more on the way: a .tar.gz would arrive unpacked by one layer.
            self._client.stream(
                "GET",
                asset.url,
                headers={"Accept-Encoding": "identity"},
                follow_redirects=True,
                timeout=self._timeout,
            ) as response,
        ):
            self._refuse(response, f"{asset.name} is not there", ReleasesFailed)
            yield from response.iter_bytes(_CHUNK)

    def _get(self, which: str) -> Release:
        url = f"{self._url}/repos/{REPOSITORY}/releases/{which}"
        headers = {"Accept": "application/vnd.github+json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with (
            self._explained(url),
            self._client.stream("GET", url, headers=headers, follow_redirects=True, timeout=self._timeout) as response,
        ):
            _, _, tag = which.partition("/")
            self._refuse(response, f"There is no release {tag}".strip(), NoSuchVersion if tag else ReleasesFailed)
            content = b""
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _LARGEST_ANSWER:
                    break
        return _read_release(content, url)

    def _refuse(self, response: httpx.Response, missing: str, kind: type[BackendError]) -> None:
        status = response.status_code
        if status < 300:
            return
        if status in (403, 429) and (response.headers.get("x-ratelimit-remaining") == "0" or status == 429):
            raise ReleasesFailed(
                f"{response.url.host} answers no more for now: too many requests{_until(response)}.\n"
                + ("Wait." if self._token else "Wait, or set GITHUB_TOKEN to a token of your account.")
            )
        if status == 404:
            raise kind(f"{missing} at {response.url}.\nCheck --version, and LEMONADE_LIKE_RELEASES_URL.")
        if status == 401 and self._token:
            raise ReleasesFailed(f"{response.url.host} refuses GITHUB_TOKEN.\nSet another, or unset it.")
        raise ReleasesFailed(f"{response.url} answered {status} {response.reason_phrase}.\nTry again later.")

    @contextmanager
    def _explained(self, url: str) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ReleasesFailed(
                f"{url} could not be fetched: {reason}\nCheck the network (HTTPS_PROXY), or name a mirror with "
                "LEMONADE_LIKE_RELEASES_URL. Nothing was changed."
            ) from error


def _keeps_secrets(url: httpx.URL) -> bool:
    if url.scheme == "https" or url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False


def _read_release(content: bytes, url: str) -> Release:
    try:
        data: Any = json.loads(content)
    except ValueError:
        data = None
    if not (isinstance(data, dict) and isinstance(data.get("tag_name"), str) and isinstance(data.get("assets"), list)):
        raise ReleasesFailed(f"{url} did not answer with a release.\nCheck LEMONADE_LIKE_RELEASES_URL.")
    if not _TAG.fullmatch(data["tag_name"]):
        raise ReleasesFailed(f"{url} names a release {data['tag_name']!r}.\nCheck LEMONADE_LIKE_RELEASES_URL.")
    return Release(data["tag_name"], tuple(_read_asset(asset) for asset in data["assets"] if _is_asset(asset)))


def _is_asset(asset: object) -> TypeGuard[dict[str, Any]]:
    if not isinstance(asset, dict):
        return False
    name, url = asset.get("name"), asset.get("browser_download_url")
    return (
        isinstance(name, str) and "/" not in name and isinstance(url, str) and url.startswith(("https://", "http://"))
    )


def _read_asset(asset: dict[str, Any]) -> Asset:
    size, digest = asset.get("size"), _DIGEST.fullmatch(str(asset.get("digest")))
    return Asset(
        name=asset["name"],
        url=asset["browser_download_url"],
        size=size if type(size) is int and size > 0 else 0,
        sha256=digest[1].lower() if digest else None,
    )


def _until(response: httpx.Response) -> str:
    reset = response.headers.get("x-ratelimit-reset", "")
    return f" until {time.strftime('%H:%M', time.localtime(int(reset)))}" if reset.isdecimal() else ""
