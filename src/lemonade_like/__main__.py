"""``python -m lemonade_like`` is the same as ``lemonade-like``."""

from __future__ import annotations

from lemonade_like.cli import main

if __name__ == "__main__":
    main()
