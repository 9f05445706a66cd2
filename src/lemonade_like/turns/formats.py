"""Prepares what renders Harmony prompts: openai-harmony's encoding on the vocabulary of a model."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from lemonade_like.errors import HarmonyUnavailable
from lemonade_like.harmony import encoding
from lemonade_like.harmony.encoding import HarmonyEncoding
from lemonade_like.harmony.renderer import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class HarmonyFormat:
    """What a turn needs to speak Harmony: ``renderer`` makes its prompts, on ``encoding``."""

    renderer: Renderer
    encoding: HarmonyEncoding


class HarmonyFormats:
    """Loads each vocabulary once; all GPT-OSS models share one. A file is looked into again only if it has changed.

    ``vocabulary_dir`` names the folder with the vocabulary of a GGUF file; it raises ``ValueError`` or ``OSError`` when
    the file has none that fits.
    """

    def __init__(self, vocabulary_dir: Callable[[Path], Path]) -> None:
        self._vocabulary_dir = vocabulary_dir
        self._prepared: dict[Path, HarmonyFormat] = {}
        self._known: dict[tuple[Path, int, int], HarmonyFormat] = {}
        self._lock = Lock()

    def prepare(self, gguf: Path) -> HarmonyFormat:
        """Return the format for the vocabulary of ``gguf``; blocking, 0.2 s the first time.

        Raises:
            HarmonyUnavailable: openai-harmony is missing, or the vocabulary is not GPT-OSS's.
        """
        with self._lock:
            try:
                file = gguf.stat()
                state = (gguf, file.st_mtime_ns, file.st_size)
                if state not in self._known:
                    folder = self._vocabulary_dir(gguf)
                    if folder not in self._prepared:
                        loaded = HarmonyEncoding.load(folder)
                        self._prepared[folder] = HarmonyFormat(Renderer(loaded), loaded)
                    self._known[state] = self._prepared[folder]
                return self._known[state]
            except (encoding.HarmonyUnavailable, ValueError, OSError) as error:
                raise HarmonyUnavailable(str(error)) from error
