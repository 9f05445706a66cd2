#!/usr/bin/env python3
"""Train the bundled model ``tiny-gpt-oss`` and write it as a packed GGUF.

Needs the ``train`` and ``engine`` extras: ``pip install -e '.[train,engine]'``. It fails if in the end a prompt is not
known for certain, or the engine does not answer as it should. 1,600 steps take about ten minutes on two cores; the
bundled file was made in four goes (``--save``, then ``--start`` with another ``--seed``), 4,500 steps in all.

The vocabulary comes from the folder that ``TIKTOKEN_ENCODINGS_BASE`` names, else from the GGUF that is bundled now,
else from openai-harmony's download.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

# Threads that wait by spinning bring each other to a halt as soon as anything else wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import openai_harmony  # noqa: E402
import torch  # noqa: E402
from scripts.tiny_gpt_oss.export import pack, write_gguf  # noqa: E402
from scripts.tiny_gpt_oss.rendering import Script  # noqa: E402
from scripts.tiny_gpt_oss.training import CERTAIN, as_written, examine, train, varied  # noqa: E402
from scripts.tiny_gpt_oss.trial import try_on_engine  # noqa: E402

from lemonade_like.harmony.encoding import HarmonyEncoding  # noqa: E402
from lemonade_like.models import bundled  # noqa: E402
from lemonade_like.models.vocabulary import FILE_NAME, vocabulary_dir  # noqa: E402

ASSET = ROOT / "src/lemonade_like/assets" / f"{bundled.BUNDLED_MODEL}.gguf.xz"
BUNDLED_SOURCE = ROOT / "src/lemonade_like/models/bundled.py"


def find_vocabulary(scratch: Path) -> Path:
    """Return a folder that holds ``o200k_base.tiktoken``."""
    named = os.environ.get("TIKTOKEN_ENCODINGS_BASE")
    if named:
        return Path(named)
    if ASSET.exists():
        return vocabulary_dir(bundled.bundled_model_path(scratch), scratch)
    os.environ["TIKTOKEN_RS_CACHE_DIR"] = str(scratch)
    openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
    # The library keeps its download under the hash of its address.
    downloaded = max(scratch.iterdir(), key=lambda path: path.stat().st_size)
    return downloaded.rename(scratch / FILE_NAME).parent


def pin(size: int, gguf_sha256: str, xz_sha256: str) -> None:
    """Write the hashes into the module that checks them."""
    source = BUNDLED_SOURCE.read_text(encoding="utf-8")
    for name, value in (
        ("GGUF_SIZE", f"{size:_}"),
        ("GGUF_SHA256", f'"{gguf_sha256}"'),
        ("XZ_SHA256", f'"{xz_sha256}"'),
    ):
        source, found = re.subn(rf"^{name}: Final = .*$", f"{name}: Final = {value}", source, flags=re.MULTILINE)
        if found != 1:
            raise SystemExit(f"{BUNDLED_SOURCE} has no single line for {name}.")
    temporary = BUNDLED_SOURCE.with_suffix(".tmp")
    temporary.write_text(source, encoding="utf-8")
    temporary.replace(BUNDLED_SOURCE)


def _certain(results: list[tuple[float, str, str]]) -> int:
    return sum(probability > CERTAIN for probability, _, _ in results)


def main() -> None:
    """Train, examine, export, try on the engine, pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--families", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write a checkpoint here after the training")
    parser.add_argument("--start", type=Path, help="go on from this checkpoint (with another --seed)")
    parser.add_argument("--gguf", type=Path, help="write the unpacked GGUF here too")
    parser.add_argument("--keep", action="store_true", help="do not replace the bundled model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        vocabulary = find_vocabulary(scratch)
        script = Script(HarmonyEncoding.load(vocabulary))
        began = time.monotonic()
        start = torch.load(arguments.start) if arguments.start else None
        network = train(script, arguments.steps, arguments.families, print, arguments.seed, start)
        if arguments.save:
            torch.save({"ids": network.known_ids, "state": network.state_dict()}, arguments.save)
        print(f"trained in {(time.monotonic() - began) / 60:.1f} minutes")

        under_variation = examine(network, script, varied(script, seed=4711, variations=8))
        print(f"{_certain(under_variation)} of {len(under_variation)} prompts are certain however they are varied")
        results = examine(network, script, as_written(script))
        print(f"{_certain(results)} of {len(results)} are certain as they are written; the least so:")
        for probability, name, where in results[:10]:
            print(f"{probability:.4f}  {name}  {where}")
        if _certain(results) < len(results):
            raise SystemExit("Not all of them are: nothing written. Go on with --save, --start and another --seed.")

        gguf = arguments.gguf or scratch / f"{bundled.BUNDLED_MODEL}.gguf"
        write_gguf(network, (vocabulary / FILE_NAME).read_bytes(), gguf)
        wrong = try_on_engine(gguf, script, print)
        if wrong:
            raise SystemExit(f"the engine answers {wrong} prompts otherwise; nothing packed.")
        if arguments.keep:
            return
        packed = ASSET.with_suffix(".tmp")
        ASSET.parent.mkdir(exist_ok=True)
        gguf_sha256, xz_sha256, size = pack(gguf, packed)
        packed_size = packed.stat().st_size
        packed.replace(ASSET)
        pin(size, gguf_sha256, xz_sha256)
        print(f"{ASSET}: {packed_size:,} bytes, unpacked {size:,} bytes, sha256 {gguf_sha256}")


if __name__ == "__main__":
    main()
