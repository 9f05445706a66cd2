"""Names of models by which somebody tries to get at other files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

#: A model that nobody may get at lies there, as seen from the folder of the Hub's cache.
SECRET: Final = "secret.gguf"

#: What names are made of, and what leads out of folders, on one system or another.
_PIECES: Final = [
    *("..", ".", "/", "\\", "//", "~", "~root", ":", "::", "\0", "\n", " ", "%2e%2e", "%2f", "%00", "．．", "․․"),
    *("hf.co/", "https://huggingface.co/", "file://", "C:", "C:\\", "\\\\server\\share\\"),
    *("org", "repo", "models--org--repo", "--", "snapshots", "abc", "blobs", "Q4_0", "user.", "user.mine"),
    *("secret", ".gguf", SECRET, "m-Q4_0.gguf", "etc/passwd", "/etc/passwd", "config.yaml"),
]

#: Those that everybody tries first. ``{secret}`` is the path of the model that nobody may get at.
COMMON: Final = (
    "{secret}",
    "..{secret}",
    "../secret",
    "../secret.gguf",
    "../../secret.gguf",
    "..\\secret.gguf",
    "./secret.gguf",
    "~/secret.gguf",
    "file://{secret}",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "org/..",
    "../repo:Q4_0",
    "org/repo:../../../../secret.gguf",
    "org/repo:..",
    "org/repo:{secret}",
    "org/repo:./m-Q4_0.gguf",
    "org/repo/../../secret:Q4_0",
    "hf.co/../secret.gguf",
    "hf.co/org/repo:../secret.gguf",
    "org--repo/../x",
    "org/repo\0:Q4_0",
    "org/repo:Q4_0\0.gguf",
    "secret\0.gguf",
    "user./../secret",
    "user.~{secret}",
    "user.x/../../secret",
    "..%2fsecret.gguf",
    "．．/secret.gguf",
    "a" * 100_000,
)

evil_names = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=1, max_size=12).map("".join),
    st.sampled_from(COMMON),
    st.text(max_size=30),
)


def spelt(name: str, secret: Path) -> str:
    """The name, with the path of the secret put in."""
    return name.replace("{secret}", str(secret))
