"""The trained network as a GGUF file that llama.cpp loads as GPT-OSS, with the whole vocabulary."""

from __future__ import annotations

import base64
import hashlib
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gguf
import numpy as np
from scripts.tiny_gpt_oss.network import CONTEXT_LENGTH, ROPE_THETA, SLIDING_WINDOW, TinyGptOss

from lemonade_like.harmony import tokens
from lemonade_like.models.vocabulary import byte_spelling

if TYPE_CHECKING:
    import torch

NAME: Final = "tiny-gpt-oss"
_TEMPLATE: Final = Path(__file__).with_name("template.jinja")
_NORMAL, _CONTROL = 1, 3


def read_ranks(tiktoken_file: bytes) -> list[bytes]:
    """Return the bytes of every ordinary token, in order of rank."""
    return [base64.b64decode(line.split(b" ")[0]) for line in tiktoken_file.splitlines()]


def merges(ranks: list[bytes]) -> list[tuple[int, int]]:
    """Return, for each token of several bytes in order of rank, the two tokens that it is merged from.

    They are what byte-pair encoding makes of the token's bytes while only earlier merges are known.
    """
    rank_of = {raw: rank for rank, raw in enumerate(ranks)}
    pairs = []
    for rank, raw in enumerate(ranks):
        if len(raw) == 1:
            continue
        parts = [raw[at : at + 1] for at in range(len(raw))]
        while len(parts) > 2:
            best, place = rank, -1
            for at in range(len(parts) - 1):
                candidate = rank_of.get(parts[at] + parts[at + 1], rank)
                if candidate < best:
                    best, place = candidate, at
            if place < 0:
                raise ValueError(f"token {rank} ({raw!r}) cannot be merged from two")
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        pairs.append((rank_of[parts[0]], rank_of[parts[1]]))
    return pairs


def write_gguf(network: TinyGptOss, tiktoken_file: bytes, path: Path) -> None:
    """Write the model: large matrices as Q8_0, all else as float32."""
    writer = gguf.GGUFWriter(path, "gpt-oss")
    writer.add_name(NAME)
    writer.add_description("A very small model with GPT-OSS's architecture, for tests and first steps.")
    writer.add_license("apache-2.0")
    writer.add_size_label("0.4M")
    config = network.gpt_oss.config
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_expert_count(config.num_local_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_sliding_window(SLIDING_WINDOW)
    writer.add_vocab_size(tokens.VOCABULARY_SIZE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_chat_template(_TEMPLATE.read_text(encoding="utf-8"))
    _add_vocabulary(writer, read_ranks(tiktoken_file))
    _add_tensors(writer, network)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, ranks: list[bytes]) -> None:
    spell = byte_spelling()
    spelled = ["".join(spell[byte] for byte in raw) for raw in ranks]
    special = [tokens.spelling(token) for token in range(tokens.FIRST_SPECIAL, tokens.VOCABULARY_SIZE)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-4o")
    writer.add_bos_token_id(tokens.START_OF_TEXT)
    writer.add_eos_token_id(tokens.RETURN)
    writer.add_pad_token_id(tokens.END_OF_TEXT)
    writer.add_token_list([*spelled, *special])
    writer.add_token_types([_NORMAL] * len(spelled) + [_CONTROL] * len(special))
    writer.add_token_merges([f"{spelled[left]} {spelled[right]}" for left, right in merges(ranks)])


def _add_tensors(writer: gguf.GGUFWriter, network: TinyGptOss) -> None:
    state = {name: value.detach() for name, value in network.gpt_oss.state_dict().items()}
    _add(writer, "token_embd.weight", _whole(network, state["model.embed_tokens.weight"]))
    _add(writer, "output.weight", _whole(network, state["lm_head.weight"]))
    _add(writer, "output_norm.weight", state["model.norm.weight"])
    for block in range(network.gpt_oss.config.num_hidden_layers):
        layer, to = f"model.layers.{block}", f"blk.{block}"
        _add(writer, f"{to}.attn_norm.weight", state[f"{layer}.input_layernorm.weight"])
        _add(writer, f"{to}.post_attention_norm.weight", state[f"{layer}.post_attention_layernorm.weight"])
        for part, name in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output")):
            for kind in ("weight", "bias"):
                _add(writer, f"{to}.{name}.{kind}", state[f"{layer}.self_attn.{part}_proj.{kind}"])
        _add(writer, f"{to}.attn_sinks.weight", state[f"{layer}.self_attn.sinks"])
        _add(writer, f"{to}.ffn_gate_inp.weight", state[f"{layer}.mlp.router.weight"])
        _add(writer, f"{to}.ffn_gate_inp.bias", state[f"{layer}.mlp.router.bias"])
        # transformers keeps gate and up in alternate columns, inputs before outputs; ggml the other way round.
        both = state[f"{layer}.mlp.experts.gate_up_proj"].transpose(1, 2)
        bias = state[f"{layer}.mlp.experts.gate_up_proj_bias"]
        for first, name in ((0, "ffn_gate_exps"), (1, "ffn_up_exps")):
            _add(writer, f"{to}.{name}.weight", both[:, first::2])
            _add(writer, f"{to}.{name}.bias", bias[:, first::2])
        _add(writer, f"{to}.ffn_down_exps.weight", state[f"{layer}.mlp.experts.down_proj"].transpose(1, 2))
        _add(writer, f"{to}.ffn_down_exps.bias", state[f"{layer}.mlp.experts.down_proj_bias"])


def _whole(network: TinyGptOss, rows: torch.Tensor) -> torch.Tensor:
    """Return the rows at the places of their ids; ids that never occur have zeros."""
    whole = rows.new_zeros((tokens.VOCABULARY_SIZE, rows.shape[1]))
    whole[network.known_ids] = rows[:-1]
    return whole


def _add(writer: gguf.GGUFWriter, name: str, tensor: torch.Tensor) -> None:
    values = np.ascontiguousarray(tensor.float().numpy())
    if values.ndim > 1 and name.endswith(".weight") and "ffn_gate_inp" not in name:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, values)


def pack(path: Path, target: Path) -> tuple[str, str, int]:
    """Compress ``path`` into ``target``; return both SHA-256 and the size of ``path``."""
    contents = path.read_bytes()
    packed = lzma.compress(contents, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    target.write_bytes(packed)
    return hashlib.sha256(contents).hexdigest(), hashlib.sha256(packed).hexdigest(), len(contents)
