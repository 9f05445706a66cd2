"""What a GGUF file says of its model, without loading it: family, context, quantisation, and what a token costs.

The numbers are those that llama.cpp itself works with (``llama-model.cpp``, ``llama-kv-cache.cpp``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lemonade_like.models.download import SHARD
from lemonade_like.models.gguf import GGUFHeader, read_header
from lemonade_like.models.grouping import quantisation_in

if TYPE_CHECKING:
    from lemonade_like.models.model import Label

#: How the vectors of a text's tokens become one, or (``rank``) a score.
Pooling = Literal["none", "mean", "cls", "last", "rank"]

#: ``general.file_type``, by the numbers of llama.cpp's ``llama_ftype``.
_FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
    39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
_GUESSED: Final = 1024  # a flag in the file type: whoever wrote it was not sure
#: Of so many layers one sees the whole context, the others a window of it, where the file itself does not say.
_SWA_PERIODS: Final = {"gpt-oss": 2, "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4}
#: These read a text as a whole and keep nothing of it.
_ENCODERS: Final = frozenset({
    "bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "modern-bert", "eurobert",
    "gemma-embedding", "t5encoder",
})  # fmt: skip
#: ``pooling_type``, by the numbers of llama.cpp's ``llama_pooling_type``.
_POOLINGS: Final[dict[int, Pooling]] = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
_CACHE_ITEM: Final = 2  # bytes: llama.cpp keeps keys and values as F16
_MOST_LAYERS: Final = 1024
_REMEMBERED: Final = 512


@dataclass(frozen=True)
class ModelFacts:
    """What the file, or all of its shards, says.

    ``context_length`` is in tokens, 0 where the file does not say, as is ``parameters``. ``file_bytes`` are of all
    shards together. A token in the context takes ``kv_bytes_per_token``, and of the last ``sliding_window`` tokens
    (0: there is no window) each takes ``window_kv_bytes_per_token`` more. ``labels`` are hints: what the family, the
    pooling and the chat template give away. ``pooling`` is ``None`` where the file does not say; of an ``encoder`` each
    token sees those behind it, too, and ``scores`` says whether there is a head that scores texts.
    """

    architecture: str
    context_length: int
    quantisation: str | None
    parameters: int
    file_bytes: int
    kv_bytes_per_token: int
    window_kv_bytes_per_token: int
    sliding_window: int
    embedding_length: int
    feed_forward_length: int
    vocabulary_size: int
    has_chat_template: bool
    labels: frozenset[Label]
    pooling: Pooling | None = None
    encoder: bool = False
    scores: bool = False


def of(path: Path) -> ModelFacts:
    """Return what is known of the model whose file, or any of whose shards, is at ``path``.

    The header is read once for each state of the file (about 40 ms with the vocabulary of GPT-OSS). Blocking.

    Raises:
        GGUFError: the file is no GGUF file, damaged or cut off within its header.
        OSError: it cannot be opened.
    """
    first, *others = _shards(path)
    facts = _read(str(first), *_stamp(first))
    if not others:
        return facts
    rest = [_read_shard(str(shard), *_stamp(shard)) for shard in others]
    return replace(
        facts,
        parameters=facts.parameters + sum(header.parameters for header, _ in rest),
        file_bytes=facts.file_bytes + sum(size for _, size in rest),
        scores=facts.scores or any(header.scores for header, _ in rest),
    )


def _shards(path: Path) -> list[Path]:
    match = SHARD.search(path.stem)
    if match is None:
        return [path]
    base, count = path.stem[: match.start()], int(match[2])
    names = (f"{base}-{number:05}-of-{match[2]}{path.suffix}" for number in range(1, min(count, _MOST_LAYERS) + 1))
    return [path.with_name(name) for name in names]


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=_REMEMBERED)
def _read_shard(path: str, _changed: int, size: int) -> tuple[GGUFHeader, int]:
    return read_header(Path(path)), size


@lru_cache(maxsize=_REMEMBERED)
def _read(path: str, _changed: int, size: int) -> ModelFacts:
    header = read_header(Path(path))
    whole, window = _kv_bytes_per_token(header)
    file_type = _number(header.values.get("general.file_type"), -1) & ~_GUESSED
    tokens = header.values.get("tokenizer.ggml.tokens")  # their number; a list only if there are very few
    return ModelFacts(
        architecture=header.architecture,
        context_length=_number(header.own("context_length")),
        quantisation=_FILE_TYPES.get(file_type) or quantisation_in(Path(path).as_posix()),
        parameters=header.parameters,
        file_bytes=size,
        kv_bytes_per_token=whole,
        window_kv_bytes_per_token=window,
        sliding_window=_number(header.own("attention.sliding_window")) if window else 0,
        embedding_length=_number(header.own("embedding_length")),
        feed_forward_length=max(_per_layer(header.own("feed_forward_length"), 1, 0), default=0),
        vocabulary_size=len(tokens) if isinstance(tokens, list) else _number(tokens),
        has_chat_template=bool(_templates(header)),
        labels=_labels(header),
        pooling=_pooling(header),
        encoder=header.architecture in _ENCODERS,
        scores=header.scores,
    )


def _kv_bytes_per_token(header: GGUFHeader) -> tuple[int, int]:
    """Bytes of keys and values for one token: in the layers that see all of the context, and in those with a window."""
    if header.architecture in _ENCODERS:
        return 0, 0
    layers = min(_number(header.own("block_count")), _MOST_LAYERS)
    queries = _per_layer(header.own("attention.head_count"), layers, 0)
    heads = _per_layer(header.own("attention.head_count_kv"), layers, None)
    width = _number(header.own("embedding_length"))
    windowed = _windowed(header, layers)
    # Of a hybrid model most layers are recurrent, and keep a state that does not grow.
    interval = _number(header.own("full_attention_interval"))
    whole = window = 0
    for layer in range(layers):
        if interval and (layer + 1) % interval:
            continue
        query_heads = queries[layer] or 0
        key_value_heads = heads[layer]
        each = width // query_heads if query_heads else 0
        suffix = "_swa" if windowed[layer] else ""
        keys, values = (
            _number(
                header.own(f"attention.{what}_length{suffix}"), _number(header.own(f"attention.{what}_length"), each)
            )
            for what in ("key", "value")
        )
        kept = (query_heads if key_value_heads is None else key_value_heads) * (keys + values) * _CACHE_ITEM
        if windowed[layer]:
            window += kept
        else:
            whole += kept
    return whole, window


def _windowed(header: GGUFHeader, layers: int) -> list[bool]:
    if not _number(header.own("attention.sliding_window")):
        return [False] * layers
    pattern = header.own("attention.sliding_window_pattern")
    if isinstance(pattern, list):
        return [layer < len(pattern) and bool(pattern[layer]) for layer in range(layers)]
    period = _number(pattern, _SWA_PERIODS.get(header.architecture, 1))
    return [layer % period < period - 1 if period else False for layer in range(layers)]


def _per_layer(value: Any, layers: int, default: Any) -> list[Any]:
    """A number for each layer, of one number for all or of a list."""
    if isinstance(value, list):
        numbers = [_number(each) for each in value[:_MOST_LAYERS]]
        return (numbers + [default] * layers)[: max(layers, len(numbers))]
    return [value if isinstance(value, int) else default] * layers


def _number(value: Any, default: int = 0) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _templates(header: GGUFHeader) -> str:
    return "\n".join(
        value
        for key, value in header.values.items()
        if key.startswith("tokenizer.chat_template") and isinstance(value, str)
    )


def _pooling(header: GGUFHeader) -> Pooling | None:
    return _POOLINGS.get(_number(header.own("pooling_type"), -1))


def _labels(header: GGUFHeader) -> frozenset[Label]:
    if header.architecture in ("gpt-oss", "gpt_oss"):
        return frozenset({"gpt-oss", "reasoning", "tool-calling"})
    pooling = _pooling(header)
    if pooling == "rank":
        return frozenset({"reranking"})
    if pooling in ("mean", "cls", "last") or header.architecture in _ENCODERS:
        return frozenset({"embeddings"})
    found: set[Label] = set()
    template = _templates(header)
    if re.search(r"\btools\b", template):
        found.add("tool-calling")
    if re.search(r"<think>|reasoning_content|enable_thinking", template):
        found.add("reasoning")
    return frozenset(found)
