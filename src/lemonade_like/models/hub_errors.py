"""What can go wrong between this machine and the Hub, in words for the one who asked for the model.

::

    DownloadError           502  hub_error: the Hub failed, or could not be understood
    ├── HubUnreachable      502  hub_unreachable, hub_offline
    ├── DamagedDownload     502  checksum_mismatch, not_a_gguf: what came is not what the Hub said it would be
    ├── BadCheckpoint       400  ambiguous_quant, quant_not_found, invalid_checkpoint
    ├── NoSuchRepository    404  repository_not_found
    ├── AccessDenied        403  gated_repository, hub_token_refused
    ├── NotEnoughSpace      507  insufficient_storage
    └── PullCancelled       409  pull_cancelled
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from huggingface_hub import errors

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.models.download import NoSuchFiles

#: The Hub's library has moved from httpx to httpx2; the base of its own error is the base of the transport's.
HTTP_ERROR: Final[type[Exception]] = errors.HfHubHTTPError.__mro__[1]
#: All that its calls raise.
HUB_ERRORS: Final = (HTTP_ERROR, OSError, errors.HFValidationError)

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CHOICES_SHOWN: Final = 12


class DownloadError(ServerError):
    """A model could not be fetched; three lines at most."""

    status = 502
    default_code = "hub_error"


class HubUnreachable(DownloadError):
    """The Hub does not answer, or must not be asked."""

    default_code = "hub_unreachable"


class DamagedDownload(DownloadError):
    """What came is not what the Hub said it would be; it has been removed."""

    default_code = "checksum_mismatch"


class BadCheckpoint(DownloadError):
    """The checkpoint does not name exactly one complete model of its repository."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_checkpoint"


class NoSuchRepository(DownloadError):
    """The Hub has no such repository, or does not show it to us."""

    status = 404
    type = "invalid_request_error"
    default_code = "repository_not_found"


class AccessDenied(DownloadError):
    """The Hub knows the repository, but not us."""

    status = 403
    type = "invalid_request_error"
    default_code = "gated_repository"


class NotEnoughSpace(DownloadError):
    """The model does not fit on the disk."""

    status = 507
    default_code = "insufficient_storage"


class PullCancelled(DownloadError):
    """Somebody has cancelled the pull."""

    status = 409
    type = "invalid_request_error"
    default_code = "pull_cancelled"


_KINDS: Final = {
    kind.__name__: kind
    for kind in (
        DownloadError,
        HubUnreachable,
        DamagedDownload,
        BadCheckpoint,
        NoSuchRepository,
        AccessDenied,
        NotEnoughSpace,
        PullCancelled,
    )
}


def as_json(error: DownloadError) -> dict[str, Any]:
    """Return the error as what :func:`from_json` reads."""
    return {"kind": type(error).__name__, "message": error.message, "param": error.param, "code": error.code}


def from_json(said: dict[str, Any]) -> DownloadError:
    """Return the error that another process has met."""
    return _KINDS[said["kind"]](said["message"], param=said["param"], code=said["code"])


def unusable(repo: str, error: NoSuchFiles, choices: Sequence[str], quant: str | None) -> BadCheckpoint:
    """Return what to say of a repository that has not exactly one complete model of ``quant``, but ``choices``."""
    code = "quant_not_found"
    if error.ambiguous:
        code = "ambiguous_quant"
    there = f"Name one of these: {_shortened(choices)}." if choices else "It has no complete model in it at all."
    return BadCheckpoint(
        f"{repo}{f':{quant}' if quant else ''} does not name one model: {error}.\n{there}",
        param="checkpoint",
        code=code,
    )


def not_a_repository(name: str) -> BadCheckpoint:
    """Return what to say of a name that no repository can have."""
    return BadCheckpoint(f"{name!r} is no name of a repository.\nWrite it as org/repo.", param="checkpoint")


def explain(error: Exception, repo: str, endpoint: str) -> DownloadError:
    """Return what happened and what to do, in place of the library's own pages of text."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, errors.GatedRepoError):
        return AccessDenied(
            f"{repo} is for those who accepted its licence.\n"
            f"Accept it at {endpoint}/{repo}, then set HF_TOKEN to a token of your account."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return NoSuchRepository(
            f"There is no repository {repo} at {endpoint}, or it is private.\n"
            "If it is private, set HF_TOKEN to a token of your account."
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachable(
            f"{repo} cannot be asked for: HF_HUB_OFFLINE forbids it.\nUnset HF_HUB_OFFLINE.", code="hub_offline"
        )
    if isinstance(error, errors.HFValidationError):
        return not_a_repository(repo)
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, repo, endpoint, first_line)
    if isinstance(error, OSError) and error.errno in _FULL:
        return NotEnoughSpace(
            f"The disk became full while {repo} was being fetched: {first_line}\n"
            "Free some space, then pull again: it goes on where it stopped."
        )
    if isinstance(error, OSError) and error.errno is not None:
        return DownloadError(
            f"{repo} could not be stored: {first_line}\nWhat has been fetched is kept; pull again.",
            code="cache_not_writable",
        )
    return HubUnreachable(
        f"{endpoint} cannot be reached: {first_line}\n"
        "Check the network (HTTPS_PROXY, HF_ENDPOINT), then pull again: it goes on where it stopped."
    )


def _refused(error: errors.HfHubHTTPError, repo: str, endpoint: str, first_line: str) -> DownloadError:
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return AccessDenied(
            f"{endpoint} does not let us have {repo} ({status}).\nSet HF_TOKEN to a valid token that may read it.",
            code="hub_token_refused",
        )
    return DownloadError(
        f"{endpoint} refused to hand out {repo}: {f'status {status}' if status else first_line}\n"
        "Try again later: it goes on where it stopped."
    )


def _shortened(choices: Sequence[str]) -> str:
    more = f" and {len(choices) - _CHOICES_SHOWN} more" if len(choices) > _CHOICES_SHOWN else ""
    return ", ".join(choices[:_CHOICES_SHOWN]) + more
