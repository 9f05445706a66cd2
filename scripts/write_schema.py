"""Writes server_models.schema.json, which editors check server_models.json with, from the code that reads it."""

from __future__ import annotations

import json
from pathlib import Path

from lemonade_like.models.model import RegistryFile

if __name__ == "__main__":
    text = json.dumps(RegistryFile.model_json_schema(), indent=2) + "\n"
    (Path(__file__).parents[1] / "server_models.schema.json").write_text(text, encoding="utf-8")
