"""What there is of a model on the Hub: plain facts, which need no network to be spoken of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository at one revision.

    ``size`` is in bytes. ``digest`` is how the Hub's cache names its content: the sha256 of a file in LFS (every large
    one), or git's sha1 of a small one; both can be checked.
    """

    repo: str
    revision: str
    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Repository:
    """A repository as it is now. The hash or size of a file is missing where the Hub did not tell it."""

    name: str
    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def file_names(self) -> list[str]:
        """The path of every file."""
        return [file.name for file in self.files]


@dataclass(frozen=True)
class Plan:
    """The files that a model needs, in the order in which they are fetched.

    A projector is first and the model's first shard last, so that a model which looks whole is whole.
    """

    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        """All of it, in bytes."""
        return sum(file.size for file in self.files)
