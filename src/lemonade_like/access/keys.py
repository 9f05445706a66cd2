"""The keys that open the server, and what each of them opens."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.access.key_files import NamedKey, read_keys
from lemonade_like.access.levels import Level, level_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic import SecretStr

    from lemonade_like.settings import Settings


@dataclass(frozen=True)
class Caller:
    """Who calls.

    ``owner`` tells the owners of keys apart, for ever: it is a hash of the key without salt, and stands in stored
    responses and recorded turns. It hides a key that is long and random (``openssl rand -hex 32``); whoever reads it
    can try out one that can be guessed. It is empty for whoever has none.
    ``label`` is what the log calls them: the owner's name, or else the beginning of ``owner``.
    """

    level: Level
    owner: str = ""
    label: str = ""


class Keyring:
    """All keys. Without API keys everybody is a user, and without any key an admin."""

    def __init__(self, users: Iterable[NamedKey] = (), admins: Iterable[NamedKey] = ()) -> None:
        of_users = {key.key: (key, Level.USER) for key in users}
        of_admins = {key.key: (key, Level.ADMIN) for key in admins}
        self.has_users, self.has_admins = bool(of_users), bool(of_admins)
        # A key that is both is an admin's.
        named = {**of_users, **of_admins}.values()
        self._known = tuple((_digest(key.key.encode()), _caller(key, level)) for key, level in named)
        self._stranger = Caller(Level.OPEN if self.has_users else Level.USER if self.has_admins else Level.ADMIN)

    @classmethod
    def from_settings(cls, settings: Settings) -> Keyring:
        """Return the keys of the settings and of the files that they name.

        Raises:
            SettingsError: a file cannot be read, or has no key in it.
        """
        return cls(
            _gathered(settings.api_key, settings.api_key_file, "api_key_file"),
            _gathered(settings.admin_key, settings.admin_key_file, "admin_key_file"),
        )

    def __bool__(self) -> bool:
        return bool(self._known)

    def refusals(self, method: str, path: str) -> frozenset[int]:
        """Return the statuses with which a request for that endpoint may be refused for want of a key."""
        needed = level_of(method, path)
        if needed <= self._stranger.level:
            return frozenset()
        return frozenset({401, 403}) if needed is Level.ADMIN and self.has_users else frozenset({401})

    def caller(self, offered: Iterable[bytes]) -> Caller:
        """Return who offers these keys, in a time that tells nothing of the right ones.

        Hashes are compared, so that neither a common beginning nor the length shows; and all of them, whichever fits.
        """
        found = self._stranger
        for candidate in offered:
            digest = _digest(candidate)
            for known, caller in self._known:
                if hmac.compare_digest(digest, known) and (not found.owner or caller.level > found.level):
                    found = caller
        return found


def best_key(settings: Settings) -> str | None:
    """Return the key with which a command asks the server of these settings: the admin's, or else that of a user.

    Raises:
        SettingsError: a file of keys cannot be read, or has no key in it.
    """
    admins = _gathered(settings.admin_key, settings.admin_key_file, "admin_key_file")
    return admins[0].key if admins else user_key(settings)


def user_key(settings: Settings) -> str | None:
    """Return the key with which a command asks any other server: a user's. The admin's opens this server only.

    Raises:
        SettingsError: a file of keys cannot be read, or has no key in it.
    """
    users = _gathered(settings.api_key, settings.api_key_file, "api_key_file")
    return users[0].key if users else None


def _gathered(keys: Iterable[SecretStr], file: Path | None, option: str) -> list[NamedKey]:
    return [*(NamedKey(key.get_secret_value()) for key in keys), *(read_keys(file, option) if file else ())]


def _caller(key: NamedKey, level: Level) -> Caller:
    owner = hashlib.sha256(key.key.encode()).hexdigest()[:16]
    return Caller(level, owner, key.name or owner[:6])


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
