"""Small GGUF files, written by the reference library: a header that says what a test wants, and a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np


def write_gguf(path: Path, architecture: str = "llama", *, template: str | None = None, **keys: Any) -> Path:
    """Writes a file with the architecture's own ``keys`` (``block_count=2``; a ``__`` in a name stands for a dot).

    ``tokens`` is the number of tokens in its vocabulary, ``file_type`` the number of its quantisation.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    if (file_type := keys.pop("file_type", None)) is not None:
        writer.add_file_type(file_type)
    if (tokens := keys.pop("tokens", None)) is not None:
        writer.add_token_list([f"token{number}" for number in range(tokens)])
    if template is not None:
        writer.add_chat_template(template)
    for name, value in keys.items():
        key = f"{architecture}.{name.replace('__', '.')}"
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_uint32(key, value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
