#!/usr/bin/env python3
"""Write tiny models with random weights, for tests of embeddings and reranking: ``make_tiny_vector_models.py FOLDER``.

Each is a few hundred kilobytes, is written in milliseconds, and is the same bytes each time. They know nothing, but
llama.cpp runs them as it runs real ones: texts that differ have vectors that differ.

- ``tiny-bert-embed``: an encoder that reads a text as a whole; mean pooling. The family of BGE, E5 and nomic-embed.
- ``tiny-llama-embed``: a decoder whose last token stands for the text. The family of Qwen3-Embedding.
- ``tiny-bert-rerank``: an encoder with a head that scores a pair of texts. The family of bge-reranker.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import gguf
import numpy as np

EMBEDDING_LENGTH: Final = 32
CONTEXT_LENGTH: Final = 512
_HEADS: Final = 2
_LAYERS: Final = 2
_FEED_FORWARD: Final = 64
_SPREAD: Final = 0.3

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHARACTERS: Final = tuple(chr(code) for code in range(33, 127))


def write_models(folder: Path) -> dict[str, Path]:
    """Write all of them into ``folder``; return their files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    writers = {"tiny-bert-embed": _bert_embed, "tiny-llama-embed": _llama_embed, "tiny-bert-rerank": _bert_rerank}
    files = {name: folder / f"{name}.gguf" for name in writers}
    for name, write in writers.items():
        write(_Model(files[name], "llama" if "llama" in name else "bert", name))
    return files


class _Model:
    """A GGUF file under way, with random numbers that are the same each time."""

    def __init__(self, path: Path, architecture: str, name: str) -> None:
        self.writer = gguf.GGUFWriter(path, architecture)
        self._random = np.random.default_rng(sum(name.encode()))
        self.writer.add_name(name)
        self.writer.add_context_length(CONTEXT_LENGTH)
        self.writer.add_embedding_length(EMBEDDING_LENGTH)
        self.writer.add_block_count(_LAYERS)
        self.writer.add_feed_forward_length(_FEED_FORWARD)
        self.writer.add_head_count(_HEADS)
        self.writer.add_head_count_kv(_HEADS)
        self.writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    def random(self, name: str, *shape: int) -> None:
        """Add a tensor of normally distributed numbers; its rows come first, as in ggml."""
        self.writer.add_tensor(name, self._random.normal(0, _SPREAD, shape).astype(np.float32))

    def norm(self, name: str, *, bias: bool) -> None:
        """Add a normalisation that changes nothing."""
        self.writer.add_tensor(f"{name}.weight", np.ones(EMBEDDING_LENGTH, dtype=np.float32))
        if bias:
            self.writer.add_tensor(f"{name}.bias", np.zeros(EMBEDDING_LENGTH, dtype=np.float32))

    def linear(self, name: str, outputs: int, inputs: int, *, bias: bool) -> None:
        """Add a matrix, and what is added to its product."""
        self.random(f"{name}.weight", outputs, inputs)
        if bias:
            self.random(f"{name}.bias", outputs)

    def save(self) -> None:
        """Write the file."""
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def _bert_embed(model: _Model) -> None:
    _bert(model, gguf.PoolingType.MEAN)
    model.save()


def _bert_rerank(model: _Model) -> None:
    _bert(model, gguf.PoolingType.RANK)
    model.linear("cls", EMBEDDING_LENGTH, EMBEDDING_LENGTH, bias=True)
    model.linear("cls.output", 1, EMBEDDING_LENGTH, bias=True)
    model.save()


def _bert(model: _Model, pooling: gguf.PoolingType) -> None:
    writer = model.writer
    writer.add_causal_attention(False)
    writer.add_layer_norm_eps(1e-12)
    writer.add_pooling_type(pooling)
    # As llama.cpp's converter spells word pieces: a mark where a word begins, none within.
    tokens = [*_SPECIAL, *_CHARACTERS, *(f"▁{character}" for character in _CHARACTERS)]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL] * len(_SPECIAL) + [_NORMAL] * (2 * len(_CHARACTERS)))
    writer.add_token_type_count(2)
    writer.add_pad_token_id(tokens.index("[PAD]"))
    writer.add_unk_token_id(tokens.index("[UNK]"))
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_sep_token_id(tokens.index("[SEP]"))
    writer.add_mask_token_id(tokens.index("[MASK]"))
    model.random("token_embd.weight", len(tokens), EMBEDDING_LENGTH)
    model.random("token_types.weight", 2, EMBEDDING_LENGTH)
    model.random("position_embd.weight", CONTEXT_LENGTH, EMBEDDING_LENGTH)
    model.norm("token_embd_norm", bias=True)
    for block in range(_LAYERS):
        to = f"blk.{block}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            model.linear(f"{to}.{part}", EMBEDDING_LENGTH, EMBEDDING_LENGTH, bias=True)
        model.norm(f"{to}.attn_output_norm", bias=True)
        model.linear(f"{to}.ffn_up", _FEED_FORWARD, EMBEDDING_LENGTH, bias=True)
        model.linear(f"{to}.ffn_down", EMBEDDING_LENGTH, _FEED_FORWARD, bias=True)
        model.norm(f"{to}.layer_output_norm", bias=True)


def _llama_embed(model: _Model) -> None:
    writer = model.writer
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(EMBEDDING_LENGTH // _HEADS)
    writer.add_pooling_type(gguf.PoolingType.LAST)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *_CHARACTERS]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * (1 + len(_CHARACTERS))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_eos_token(True)
    model.random("token_embd.weight", len(tokens), EMBEDDING_LENGTH)
    for block in range(_LAYERS):
        to = f"blk.{block}"
        model.norm(f"{to}.attn_norm", bias=False)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            model.linear(f"{to}.{part}", EMBEDDING_LENGTH, EMBEDDING_LENGTH, bias=False)
        model.norm(f"{to}.ffn_norm", bias=False)
        model.linear(f"{to}.ffn_gate", _FEED_FORWARD, EMBEDDING_LENGTH, bias=False)
        model.linear(f"{to}.ffn_up", _FEED_FORWARD, EMBEDDING_LENGTH, bias=False)
        model.linear(f"{to}.ffn_down", EMBEDDING_LENGTH, _FEED_FORWARD, bias=False)
    model.norm("output_norm", bias=False)
    model.save()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for path in write_models(Path(sys.argv[1])).values():
        print(path)
