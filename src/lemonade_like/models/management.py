"""Pulling, deleting and looking up models, as the server does it for its clients."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from lemonade_like.errors import BadRequest, ModelNotFound, ServerError
from lemonade_like.models.deletion import Deleted, delete_model
from lemonade_like.models.download import Checkpoint
from lemonade_like.models.hub import Hub, HubPlace
from lemonade_like.models.model import model_of
from lemonade_like.models.names import read_checkpoint, require_user_name
from lemonade_like.models.pull import Wanted
from lemonade_like.models.variants import Variant, variants_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lemonade_like.models.pulling import Pull, Pulls
    from lemonade_like.models.registry import Model, ModelEntry
    from lemonade_like.models.remote import Repository

_logger: Final = logging.getLogger(__name__)


class Conflict(ServerError):
    """It cannot be done now, as something else goes on."""

    status = 409
    type = "invalid_request_error"


class Catalogue(Protocol):
    """As much of the registry as is needed; all of it blocking."""

    def models(self) -> list[Model]:
        """Return all models."""

    def find(self, name: str) -> Model:
        """Return the model of that name, here or not. Raises ``ModelNotFound``."""

    def to_pull(self, name: str) -> Model:
        """Return the model to be downloaded for that name, known or not. Raises ``ModelNotFound``."""

    def register(self, name: str, entry: ModelEntry) -> Model:
        """Make a user's model known."""

    def forget(self, name: str) -> None:
        """Make it unknown again."""

    def changed(self, name: str) -> None:
        """Take note that the model's files have come or gone."""


@dataclass(frozen=True)
class Started:
    """A pull that runs, or ``pull`` is ``None`` where nothing has to be fetched."""

    name: str
    pull: Pull | None


class ModelManager:
    """Joins the registry, the pulls and the Hub's cache.

    ``in_use`` tells whether a model must not be deleted now. ``unload`` has its engine gone, if it has one; where there
    is none, ``in_use`` has to be true of every model that is loaded.
    """

    def __init__(
        self,
        registry: Catalogue,
        pulls: Pulls,
        hub: HubPlace,
        *,
        in_use: Callable[[str], bool],
        unload: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        self._registry = registry
        self._pulls = pulls
        self._in_use = in_use
        self._unload = unload
        self._hub = hub
        self._beginning: set[asyncio.Task[None]] = set()

    async def pull(self, name: str, entry: ModelEntry | None = None) -> Started:
        """Start to pull the model, or join the pull that runs; return when the Hub has said what it is made of.

        ``entry`` registers it as a user's model. That is done only now that the Hub is known to have it, so that a
        mistake leaves nothing behind.

        Raises:
            ModelNotFound: no model has that name.
            BadRequest: a model with an ``entry`` cannot be named so.
            DownloadError: the Hub has no such model, or it does not fit on the disk.
            EngineUnavailable: the server is shutting down.
        """
        if entry is None:
            model = await asyncio.to_thread(self._registry.to_pull, name)
            name, wanted = model.name, Wanted.of(model)
        else:
            name = require_user_name(name)
            wanted = Wanted.of(model_of(name, entry))
        if wanted is None:
            return Started(name, None)
        pull = self._pulls.start(name, wanted)
        pull.on_end(lambda: self._registry.changed(name))
        # A client that goes away ends neither the pull nor what comes with it.
        beginning = asyncio.create_task(self._begin(pull, name, entry))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._begun)
        await asyncio.shield(beginning)
        return Started(name, pull)

    async def _begin(self, pull: Pull, name: str, entry: ModelEntry | None) -> None:
        await pull.planned()
        if entry is not None:
            await asyncio.to_thread(self._registry.register, name, entry)

    def _begun(self, beginning: asyncio.Task[None]) -> None:
        self._beginning.discard(beginning)
        if not beginning.cancelled():
            beginning.exception()  # whoever waited has got it

    async def cancel(self, name: str) -> bool:
        """End the pull of that model; tell whether there was one. What has come is kept. Raises ``ModelNotFound``."""
        wanted = Wanted.of(await asyncio.to_thread(self._registry.to_pull, name))
        return wanted is not None and await self._pulls.cancel(wanted)

    async def delete(self, name: str) -> tuple[str, Deleted]:
        """Delete the model's files, and forget it if it is the user's; return its name and what was removed.

        Raises:
            ModelNotFound: no model has that name, or nothing of it is here.
            BadRequest: it is bundled, or a file of the user's own.
            Conflict: it is in use, being pulled, or all its files are another model's too.
        """
        model = await asyncio.to_thread(self._registry.find, name)
        users = model.source == "user"
        if users and Wanted.of(model) is None:  # a name for a file of the user's own
            await asyncio.to_thread(self._registry.forget, model.name)
            return model.name, Deleted(0, 0, ())
        wanted = _deletable(model)
        self._require_unused(model.name, wanted)
        if self._unload is not None:
            await self._unload(model.name)
        sharing = await asyncio.to_thread(self._others, model)
        deleted = await asyncio.to_thread(delete_model, wanted, sharing.values(), self._hub.folder)
        self._registry.changed(model.name)
        if users:
            await asyncio.to_thread(self._registry.forget, model.name)
        elif not deleted.files:
            raise _nothing_deleted(model, deleted, sharing)
        _logger.info("Deleted %s: %d files, %d bytes", model.name, deleted.files, deleted.bytes)
        return model.name, deleted

    async def close(self) -> None:
        """End all pulls, and tell those who wait for them. None can be started from now on."""
        await self._pulls.close()

    def _require_unused(self, name: str, wanted: Wanted) -> None:
        if self._pulls.running(wanted):
            raise Conflict(f"{name} is being pulled. Cancel that first (POST /v1/pull/cancel).", code="model_is_pulled")
        if self._in_use(name):
            raise Conflict(f"{name} is in use. Unload it first, or wait until it is idle.", code="model_in_use")

    def _others(self, model: Model) -> dict[str, Wanted]:
        found = {other.name: Wanted.of(other) for other in self._registry.models() if other.name != model.name}
        return {name: wanted for name, wanted in found.items() if wanted is not None}

    async def variants(self, checkpoint: str) -> tuple[Repository, list[Variant]]:
        """Return the repository of a checkpoint, and the models in it. Raises ``DownloadError``."""
        return await asyncio.to_thread(self._look_up, checkpoint)

    def _look_up(self, checkpoint: str) -> tuple[Repository, list[Variant]]:
        repository = Hub(self._hub).repository(_repo(read_checkpoint(checkpoint) or checkpoint))
        return repository, variants_of(repository, self._hub.cache)


def _deletable(model: Model) -> Wanted:
    if model.bundled:
        raise BadRequest(
            f"{model.name} is a part of this package and cannot be deleted.",
            param="model_name",
            code="model_is_bundled",
        )
    wanted = Wanted.of(model)
    if wanted is None:
        raise BadRequest(
            f"{model.name} is a file of yours, {model.path}. It is not deleted here; delete it yourself.",
            param="model_name",
            code="model_is_local",
        )
    return wanted


def _nothing_deleted(model: Model, deleted: Deleted, others: dict[str, Wanted]) -> ServerError:
    if deleted.kept:
        repo = _repo(str(model.checkpoint))
        same = sorted(name for name, wanted in others.items() if _repo(wanted.checkpoint) == repo)
        return Conflict(
            f"The files of {model.name} are needed by others too ({', '.join(same)}). Delete those first.",
            code="files_are_shared",
        )
    return ModelNotFound(
        f"Nothing of {model.name} is on this machine.", param="model_name", code="model_not_downloaded"
    )


def _repo(checkpoint: str) -> str:
    return Checkpoint.parse(checkpoint).repo
