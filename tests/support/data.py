"""Where registered models and saved options are kept during tests: never in the home of whoever runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.settings import folders

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def keep_data_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have the default of ``data_dir`` be ``folder``, in this process and in those that it starts."""
    patch.setenv("LEMONADE_LIKE_DATA_DIR", str(folder))
    patch.setattr(folders, "_data_folder", lambda _cache_dir: folder)
