"""What the Hub says of a repository: its revision, its files, and for each its size and hash."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import huggingface_hub
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from lemonade_like.models.download import Checkpoint, NoSuchFiles, choose_files, has_word, whole_models
from lemonade_like.models.grouping import checkpoint_of, projector_for
from lemonade_like.models.hub_cache import hub_folder
from lemonade_like.models.hub_errors import HUB_ERRORS, DownloadError, explain, not_a_repository, unusable
from lemonade_like.models.remote import Plan, RemoteFile, Repository

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT: Final = 30  # seconds for the list of files
_LIBRARY: Final = "lemonade-like"
_REVISION: Final = re.compile(r"[0-9a-f]{40}")
_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubPlace:
    """Where models come from and go to, if not what ``HF_ENDPOINT``, and ``HF_HUB_CACHE`` or ``HF_HOME`` say."""

    endpoint: str | None = None
    cache: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of the Hub's cache."""
        return hub_folder(self.cache)


class Hub:
    """The Hub at that place, or a mirror of it."""

    def __init__(self, place: HubPlace) -> None:
        self._api = huggingface_hub.HfApi(endpoint=place.endpoint, library_name=_LIBRARY)
        self.endpoint: str = self._api.endpoint

    def repository(self, name: str) -> Repository:
        """Return the repository as it is now; blocking. Raises :class:`DownloadError`."""
        if name.count("/") != 1:
            raise not_a_repository(name)
        try:
            # Asked for in this way it fails at once when there is no network; list_repo_files retries for 20 seconds.
            info = self._api.model_info(name, timeout=_TIMEOUT, files_metadata=True)
        except HUB_ERRORS as error:
            raise explain(error, name, self.endpoint) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _no_hub(self.endpoint) from error
        if not _REVISION.fullmatch(info.sha or ""):
            raise _no_hub(self.endpoint)
        revision = str(info.sha)
        files = [
            RemoteFile(
                name,
                revision,
                sibling.rfilename,
                (sibling.lfs.size if sibling.lfs else sibling.size) or 0,
                (sibling.lfs.sha256 if sibling.lfs else sibling.blob_id) or "",
            )
            for sibling in info.siblings or ()
            if _is_inside(sibling.rfilename)
        ]
        return Repository(name, revision, tuple(files))

    def plan(self, checkpoint: Checkpoint, mmproj: str | None = None, *, vision: bool = False) -> Plan:
        """Return the files of the model; blocking.

        ``mmproj`` is the name of the projector's file in the same repository, or a checkpoint of another. ``vision``
        has the one taken that fits best where none is named.

        Raises:
            BadCheckpoint: the repository has not exactly one complete model of that quantisation.
            DownloadError: the Hub failed.
        """
        repository = self.repository(checkpoint.repo)
        model = _chosen(repository, checkpoint.quant)
        if mmproj is None and vision:
            mmproj = projector_for(model[0].name, repository.file_names, vision=True)
        files = [*(self._projector(repository, mmproj) if mmproj else ()), *reversed(model)]
        return Plan(tuple(self._described(file) for file in files))

    def _projector(self, repository: Repository, mmproj: str) -> list[RemoteFile]:
        if ":" in mmproj:
            checkpoint = Checkpoint.parse(mmproj)
            other = repository if checkpoint.repo == repository.name else self.repository(checkpoint.repo)
            return _chosen(other, checkpoint.quant)
        return _chosen(repository, mmproj)

    def _described(self, file: RemoteFile) -> RemoteFile:
        """Return the file with its size and hash; a mirror that does not list them has them in its headers."""
        if file.size and _HASH.fullmatch(file.digest):
            return file
        try:
            head = huggingface_hub.get_hf_file_metadata(self.url(file), endpoint=self.endpoint, library_name=_LIBRARY)
        except HUB_ERRORS as error:
            raise explain(error, file.repo, self.endpoint) from error
        if not head.size or not head.etag or not _HASH.fullmatch(head.etag):
            raise DownloadError(
                f"{self.endpoint} does not say the size and hash of {file.name}, so it cannot be checked.\n"
                "Set HF_ENDPOINT to a hub that does (https://huggingface.co).",
                code="hub_without_hashes",
            )
        return replace(file, size=head.size, digest=head.etag)

    def url(self, file: RemoteFile) -> str:
        """Where the file is; it redirects to where the bytes are, with an address that lasts about an hour."""
        return huggingface_hub.hf_hub_url(file.repo, file.name, revision=file.revision, endpoint=self.endpoint)

    def headers(self) -> dict[str, str]:
        """What to send with a request for a file: who we are, and the token if there is one."""
        # Compressed on the way, the rest of a file could not be asked for.
        return {**build_hf_headers(library_name=_LIBRARY), "Accept-Encoding": "identity"}


def _no_hub(endpoint: str) -> DownloadError:
    return DownloadError(
        f"What {endpoint} answers is not what a hub answers.\n"
        "Check HF_ENDPOINT; a proxy, or a page to sign in to the network, may be in between."
    )


def _is_inside(name: str) -> bool:
    """Tell whether a file's name leads nowhere but below the folder that it is put into, on any system."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and not re.search(r"[\\:\0]", name)


def _chosen(repository: Repository, quant: str | None) -> list[RemoteFile]:
    try:
        names = choose_files(repository.file_names, quant)
    except NoSuchFiles as error:
        raise unusable(
            repository.name, error, _choices(repository, quant if error.ambiguous else None), quant
        ) from None
    by_name = {file.name: file for file in repository.files}
    return [by_name[name] for name in names]


def _choices(repository: Repository, quant: str | None) -> list[str]:
    """The checkpoints of the repository's complete models, or of those that may be meant."""
    names = repository.file_names
    models = [shards for shards in whole_models(names) if quant is None or has_word(shards[0], quant)]
    return [checkpoint_of(repository.name, shards, names) for shards in models]
