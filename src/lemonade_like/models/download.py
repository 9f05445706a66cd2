"""Getting a model from the Hugging Face Hub, and finding it in the Hub's cache afterwards.

A checkpoint is written ``org/repo:QUANT`` (or ``org/repo:file.gguf``). Which files that means is decided by
:func:`choose_files` from the repository's list of files as it is today; no file name is known beforehand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub import constants, errors
from huggingface_hub.file_download import repo_folder_name

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The Hub's library has moved from httpx to httpx2; the base of its own error is the base of the transport's.
_HTTP_ERROR: type[Exception] = errors.HfHubHTTPError.__mro__[1]

_TIMEOUT = 30  # seconds for the list of files

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
# Companions of a model that are no model: vision projectors, draft and multi-token-prediction heads, calibration data.
_COMPANION = re.compile(r"(?:^|[^a-z0-9])(?:mmproj|draft(?:er)?|mtp|imatrix)(?:$|[^a-z0-9])", re.IGNORECASE)


class DownloadError(ServerError):
    """A model could not be fetched; three lines at most."""


class NoSuchFiles(ValueError):
    """A repository has not exactly one complete model of the quantisation asked for; ``choices`` are those it has."""

    def __init__(self, message: str, choices: tuple[str, ...]) -> None:
        super().__init__(message)
        self.choices = choices


@dataclass(frozen=True)
class Checkpoint:
    """Where a model comes from; ``quant`` is ``None`` when the repository is expected to hold one model only."""

    repo: str
    quant: str | None

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads ``org/repo`` or ``org/repo:QUANT``."""
        repo, _, quant = text.partition(":")
        return cls(repo, quant or None)


def choose_files(files: Iterable[str], quant: str | None) -> list[str]:
    """The ``.gguf`` files of one model, shards in order, out of all files of a repository (paths with ``/``).

    ``quant`` is a quantisation such as ``Q4_K_M``, matched as a whole word and in any case, or the name of a file.
    Companion files (mmproj, draft, mtp, imatrix) are never chosen unless named. Raises :class:`NoSuchFiles` if
    nothing matches, if several models do, or if a shard is missing.
    """
    everything = [file for file in files if file.lower().endswith(".gguf")]
    if quant and quant.lower().endswith(".gguf"):
        named = [file for file in everything if quant in (file, PurePosixPath(file).name)]
        groups = _grouped(everything)
        matching = {base: groups[base] for base in {_base(file) for file in named}}
    else:
        groups = _grouped(file for file in everything if not _COMPANION.search(file))
        matching = {base: shards for base, shards in groups.items() if quant is None or _has_word(base, quant)}
        matching = _narrowed(matching, quant)
    if not matching:
        raise NoSuchFiles(f"no .gguf file of {quant}" if quant else "no .gguf file", tuple(sorted(groups)))
    if len(matching) > 1:
        raise NoSuchFiles(f"{len(matching)} models match" + (f" {quant}" if quant else ""), tuple(sorted(matching)))
    ((base, shards),) = matching.items()
    return _complete(base, shards)


def _grouped(files: Iterable[str]) -> dict[str, list[str]]:
    """Files by model: shards of one model share a base, which says how many there are."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[_base(file)].append(file)
    return groups


def _base(file: str) -> str:
    return _SHARD.sub(r"-of-\2", file[: -len(".gguf")])


def _has_word(base: str, quant: str, flags: re.RegexFlag = re.IGNORECASE) -> bool:
    # Names are joined by - . / and sometimes _, which quantisations have inside too: XS is no word of IQ4_XS.
    before = "[A-Za-z0-9]" if re.search(r"\d", quant) else "[A-Za-z0-9_]"
    return bool(re.search(rf"(?<!{before}){re.escape(quant)}(?![A-Za-z0-9_])", base, flags))


def _narrowed(matching: dict[str, list[str]], quant: str | None) -> dict[str, list[str]]:
    """Of several matches the closest: spelt in the same case, then not a variant (``UD-Q4_K_M`` for ``Q4_K_M``)."""
    if quant is None or len(matching) < 2:
        return matching
    same_case = {base: shards for base, shards in matching.items() if _has_word(base, quant, re.RegexFlag(0))}
    matching = same_case or matching
    plain = {base: shards for base, shards in matching.items() if not _has_word(base, f"UD-{quant}")}
    return plain or matching


def _complete(base: str, shards: list[str]) -> list[str]:
    count = re.search(r"-of-(\d{5})$", base)
    if count is None:
        return shards
    ordered = sorted(shards)
    numbers = [int(match[1]) for file in ordered if (match := _SHARD.search(file[: -len(".gguf")]))]
    missing = sorted(set(range(1, int(count[1]) + 1)) - set(numbers))
    if missing:
        raise NoSuchFiles(f"shard {', '.join(map(str, missing))} of {int(count[1])} is missing", (base,))
    return ordered


def find_in_cache(checkpoint: Checkpoint, hub_cache: Path | None = None) -> Path | None:
    """The model's file (its first shard) in the Hub's cache, if all of it is there.

    The path is the one under ``snapshots``, with the file's name: llama.cpp finds the other shards beside it.
    """
    cache = hub_cache or Path(constants.HF_HUB_CACHE)
    folder = cache / repo_folder_name(repo_id=checkpoint.repo, repo_type="model")
    for snapshot in _snapshots(folder):
        here = [
            path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*.[gG][gG][uU][fF]") if path.is_file()
        ]
        try:
            return snapshot / choose_files(here, checkpoint.quant)[0]
        except NoSuchFiles:
            continue
    return None


def _snapshots(folder: Path) -> list[Path]:
    """The repository's snapshots on disk: the one that ``main`` is at first, then the newest."""
    try:
        found = sorted((folder / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []
    try:
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except OSError:
        return found
    return sorted(found, key=lambda path: path.name != main)


def download(
    checkpoint: Checkpoint,
    *,
    endpoint: str | None = None,
    hub_cache: Path | None = None,
    on_file: Callable[[str, int, int], None] = lambda name, number, count: None,
) -> Path:
    """Fetches the model's files into the Hub's cache and returns the path of the first.

    ``on_file`` is told each file's name, its number and how many there are, before it is fetched. What is there
    already is not fetched again. Raises :class:`DownloadError`.
    """
    api = huggingface_hub.HfApi(endpoint=endpoint)
    try:
        # Asked for in this way it fails at once when there is no network; list_repo_files retries for 20 seconds.
        info = api.model_info(checkpoint.repo, timeout=_TIMEOUT)
        files = choose_files([sibling.rfilename for sibling in info.siblings or ()], checkpoint.quant)
        paths: list[Path] = []
        for number, name in enumerate(files, start=1):
            on_file(name, number, len(files))
            # All from one revision: shards of two do not fit together.
            path = huggingface_hub.hf_hub_download(
                checkpoint.repo, name, revision=info.sha, cache_dir=hub_cache, endpoint=endpoint
            )
            paths.append(Path(path))
    except NoSuchFiles as error:
        raise DownloadError(
            f"{checkpoint.repo} cannot be used as it is: {error}.\nThere is: {_shortened(error.choices)}."
        ) from None
    except (_HTTP_ERROR, OSError, errors.HFValidationError) as error:
        raise DownloadError(_explain(error, checkpoint.repo, api.endpoint)) from error
    return paths[0]


def _shortened(choices: tuple[str, ...], limit: int = 12) -> str:
    if not choices:
        return "no .gguf file at all"
    return ", ".join(choices[:limit]) + (f" and {len(choices) - limit} more" if len(choices) > limit else "")


def _explain(error: Exception, repo: str, endpoint: str) -> str:
    """What happened and what to do, in place of the library's own pages of text."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{repo} is for those who accepted its licence.\n"
            f"Accept it at {endpoint}/{repo}, then set HF_TOKEN to a token of your account."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"There is no repository {repo} at {endpoint}, or it is private.\n"
            "If it is private, set HF_TOKEN to a token of your account."
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} is not in the cache, and HF_HUB_OFFLINE forbids to fetch it.\nUnset HF_HUB_OFFLINE."
    if isinstance(error, errors.HfHubHTTPError):
        return f"{endpoint} refused to hand out {repo}: {first_line}\nTry again later."
    if isinstance(error, OSError) and error.errno is not None:
        return f"{repo} could not be stored: {first_line}\nWhat has been fetched is kept; run the command again."
    return (
        f"{endpoint} cannot be reached: {first_line}\n"
        "Check the network (HTTPS_PROXY, HF_ENDPOINT), then run the command again: it goes on where it stopped."
    )
