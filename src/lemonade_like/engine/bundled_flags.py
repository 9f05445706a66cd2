"""llama-server's flags, mapped by hand onto the fields of xllamacpp's ``CommonParams``.

A flag is one line of ``OPTIONS``: its spellings, how its value is read, and the field it sets. Defaults are llama.cpp's
own: a flag that is not given leaves its field alone. Flags that llama-server has and this table has not are refused by
name.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CACHE_TYPES: Final = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


@dataclass(frozen=True)
class Option:
    """``flags`` set ``field`` (dotted) to the value, read by ``kind``; ``on`` and ``off`` spell a switch.

    ``choices`` maps words to the names of xllamacpp's constants, after the name of their enum.
    """

    field: str
    flags: tuple[str, ...] = ()
    kind: Callable[[str], Any] = str
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    choices: Mapping[str, str] | None = None
    bare: str | None = None

    @property
    def dest(self) -> str:
        """Where argparse keeps the value."""
        return "set_" + self.field.replace(".", "__")


def _enum(name: str, prefix: str, *words: str, **others: str) -> dict[str, str]:
    spelled = {word: word.upper().replace("-", "_") for word in words} | others
    return {word: f"{name}.{prefix}_{constant}" for word, constant in spelled.items()}


def _layers(word: str) -> int:
    return {"auto": -1, "all": -2}.get(word) or int(word)


def _paths(word: str) -> list[str]:
    return word.split(",")


def _folder(word: str) -> str:
    # llama.cpp puts file names straight behind it.
    return word if word.endswith(os.sep) else word + os.sep


def _template_arguments(word: str) -> dict[str, str]:
    values = json.loads(word)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return {key: json.dumps(value) for key, value in values.items()}


OPTIONS: Final = (
    # What is served, and where.
    Option("model.path", ("-m", "--model")),
    Option("model_alias", ("-a", "--alias"), lambda word: set(word.split(","))),
    Option("mmproj.path", ("-mm", "--mmproj")),
    Option("mmproj_use_gpu", on=("--mmproj-offload",), off=("--no-mmproj-offload",)),
    Option("hostnames", ("--host",), _paths),
    Option("port", ("--port",), int),
    Option("reuse_port", on=("--reuse-port",)),
    Option("api_prefix", ("--api-prefix",)),
    Option("n_threads_http", ("--threads-http",), int),
    Option("sse_ping_interval", ("--sse-ping-interval",), int),
    Option("endpoint_metrics", on=("--metrics",)),
    Option("endpoint_props", on=("--props",)),
    Option("endpoint_slots", on=("--slots",), off=("--no-slots",)),
    Option("ui", on=("--webui", "--ui"), off=("--no-webui", "--no-ui")),
    Option("verbosity", ("-lv", "--verbosity", "--log-verbosity"), int),
    # Context, slots and cache.
    Option("n_ctx", ("-c", "--ctx-size"), int),
    Option("n_parallel", ("-np", "--parallel"), int),
    Option("cont_batching", on=("-cb", "--cont-batching"), off=("-nocb", "--no-cont-batching")),
    Option("kv_unified", on=("-kvu", "--kv-unified"), off=("-no-kvu", "--no-kv-unified")),
    Option("cache_prompt", on=("--cache-prompt",), off=("--no-cache-prompt",)),
    Option("cache_ram_mib", ("-cram", "--cache-ram"), int),
    Option("cache_idle_slots", on=("--cache-idle-slots",), off=("--no-cache-idle-slots",)),
    Option("n_cache_reuse", ("--cache-reuse",), int),
    Option("n_ctx_checkpoints", ("-ctxcp", "--ctx-checkpoints", "--swa-checkpoints"), int),
    Option("checkpoint_min_step", ("--checkpoint-min-step",), int),
    Option("swa_full", on=("--swa-full",)),
    Option("ctx_shift", on=("--context-shift",), off=("--no-context-shift",)),
    Option("slot_save_path", ("--slot-save-path",), _folder),
    Option("slot_prompt_similarity", ("-sps", "--slot-prompt-similarity"), float),
    Option("cache_type_k", ("-ctk", "--cache-type-k"), choices=_enum("ggml_type", "GGML_TYPE", *_CACHE_TYPES)),
    Option("cache_type_v", ("-ctv", "--cache-type-v"), choices=_enum("ggml_type", "GGML_TYPE", *_CACHE_TYPES)),
    Option("n_keep", ("--keep",), int),
    Option("n_predict", ("-n", "--predict", "--n-predict"), int),
    # How it is computed.
    Option("cpuparams.n_threads", ("-t", "--threads"), int),
    Option("cpuparams_batch.n_threads", ("-tb", "--threads-batch"), int),
    Option("n_batch", ("-b", "--batch-size"), int),
    Option("n_ubatch", ("-ub", "--ubatch-size"), int),
    Option("n_gpu_layers", ("-ngl", "--gpu-layers", "--n-gpu-layers"), _layers),
    Option("main_gpu", ("-mg", "--main-gpu"), int),
    Option(
        "split_mode",
        ("-sm", "--split-mode"),
        choices=_enum("llama_split_mode", "LLAMA_SPLIT_MODE", "none", "layer", "row", "tensor"),
    ),
    Option("no_kv_offload", off=("-kvo", "--kv-offload"), on=("-nkvo", "--no-kv-offload")),
    Option("no_op_offload", off=("--op-offload",), on=("--no-op-offload",)),
    Option("no_extra_bufts", off=("--repack",), on=("-nr", "--no-repack")),
    Option("no_host", on=("--no-host",)),
    Option(
        "flash_attn_type",
        ("-fa", "--flash-attn"),
        choices=_enum("llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE", "auto", on="ENABLED", off="DISABLED"),
        bare="on",
    ),
    Option(
        "load_mode",
        ("-lm", "--load-mode"),
        choices=_enum("llama_load_mode", "LLAMA_LOAD_MODE", "auto", "none", "mmap", "mlock", "direct-io")
        | {"dio": "llama_load_mode.LLAMA_LOAD_MODE_DIRECT_IO"},
    ),
    Option(
        "numa",
        ("--numa",),
        choices=_enum("ggml_numa_strategy", "GGML_NUMA_STRATEGY", "distribute", "isolate", "numactl"),
    ),
    Option("check_tensors", on=("--check-tensors",)),
    Option("warmup", on=("--warmup",), off=("--no-warmup",)),
    Option("fit_params", ("-fit", "--fit"), lambda word: {"on": True, "off": False}[word]),
    Option("rope_freq_base", ("--rope-freq-base",), float),
    Option("rope_freq_scale", ("--rope-freq-scale",), float),
    Option(
        "rope_scaling_type",
        ("--rope-scaling",),
        choices=_enum("llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE", "none", "linear", "yarn"),
    ),
    Option("yarn_orig_ctx", ("--yarn-orig-ctx",), int),
    Option("yarn_ext_factor", ("--yarn-ext-factor",), float),
    Option("yarn_attn_factor", ("--yarn-attn-factor",), float),
    Option("yarn_beta_slow", ("--yarn-beta-slow",), float),
    Option("yarn_beta_fast", ("--yarn-beta-fast",), float),
    # Chat templates.
    Option("use_jinja", on=("--jinja",), off=("--no-jinja",)),
    Option("chat_template", ("--chat-template",)),
    Option("default_template_kwargs", ("--chat-template-kwargs",), _template_arguments),
    Option("prefill_assistant", on=("--prefill-assistant",), off=("--no-prefill-assistant",)),
    Option(
        "reasoning_format",
        ("--reasoning-format",),
        choices=_enum(
            "common_reasoning_format", "COMMON_REASONING_FORMAT", "none", "auto", "deepseek", "deepseek-legacy"
        ),
    ),
    # Embeddings.
    Option("embedding", on=("--embedding", "--embeddings")),
    Option(
        "pooling_type",
        ("--pooling",),
        choices=_enum("llama_pooling_type", "LLAMA_POOLING_TYPE", "none", "mean", "cls", "last", "rank"),
    ),
    Option("embd_normalize", ("--embd-normalize",), int),
    # Sampling that requests do not set.
    Option("sampling.seed", ("-s", "--seed"), int),
    Option("sampling.temp", ("--temp", "--temperature"), float),
    Option("sampling.top_k", ("--top-k",), int),
    Option("sampling.top_p", ("--top-p",), float),
    Option("sampling.min_p", ("--min-p",), float),
    Option("sampling.penalty_repeat", ("--repeat-penalty",), float),
)


class ArgumentsRefused(ValueError):
    """The bundled engine cannot be started so; the message says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message = (
                f"the bundled engine does not know {unknown}. "
                "Leave it out, or run a real llama-server with --llama-server PATH"
            )
        raise ArgumentsRefused(message)


def check(arguments: Sequence[str]) -> None:
    """Look at arguments without starting anything. Raises ``ArgumentsRefused``."""
    if told := {"-h", "--help", "--version"}.intersection(arguments):
        raise ArgumentsRefused(f"with {told.pop()} no engine would start")
    make_parser("").parse_args(arguments)


def make_parser(version: str) -> argparse.ArgumentParser:
    """Return a parser for llama-server's command line, in its own spellings and without abbreviations."""
    parser = _Parser(prog="lemonade_like.engine.bundled", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=version)
    for option in OPTIONS:
        if option.on or option.off:
            for flags, value in ((option.on, True), (option.off, False)):
                if flags:
                    parser.add_argument(*flags, dest=option.dest, action="store_const", const=value)
        else:
            parser.add_argument(
                *option.flags,
                dest=option.dest,
                type=option.kind,
                choices=option.choices,
                nargs="?" if option.bare else None,
                const=option.bare,
                metavar=option.flags[-1].lstrip("-").upper(),
            )
    # Those that set more than one field, or read a file.
    parser.add_argument("-v", "--verbose", "--log-verbose", action="store_true")
    parser.add_argument("-to", "--timeout", type=int, metavar="SECONDS")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--api-key-file", type=Path)
    parser.add_argument("--chat-template-file", type=Path)
    parser.add_argument("--mlock", action="store_true")
    parser.add_argument("--mmap", action=argparse.BooleanOptionalAction)
    parser.add_argument("--rerank", "--reranking", action="store_true")
    return parser


def apply(parsed: argparse.Namespace, params: Any, library: Any, environ: Mapping[str, str]) -> None:
    """Set ``params``, a ``library.CommonParams``, from parsed flags; API keys may also come from ``LLAMA_API_KEY``.

    Raises ``ValueError`` if no model is named, ``OSError`` if a file that a flag names cannot be read.
    """
    # Only an API: the page is ours.
    params.ui = False
    params.port = 8080
    for option in OPTIONS:
        value = getattr(parsed, option.dest)
        if value is not None:
            _set(params, option.field, value if option.choices is None else _constant(library, option.choices[value]))
    if not params.model.path:
        raise ValueError("Which model? Give --model FILE.")
    if params.n_parallel < 1:
        # llama-server's own choice for "automatic".
        params.n_parallel, params.kv_unified = 4, True
    if params.cpuparams.n_threads < 1:
        params.cpuparams.n_threads = usable_cores(psutil.cpu_count(logical=False), Path("/sys/fs/cgroup/cpu.max"))
    if parsed.verbose:
        params.verbosity = 2**31 - 1
    if parsed.timeout is not None:
        params.timeout_read = params.timeout_write = parsed.timeout
    if parsed.chat_template_file:
        params.chat_template = parsed.chat_template_file.read_text(encoding="utf-8")
    if parsed.rerank:
        params.embedding = True
        params.pooling_type = library.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    if parsed.mlock or parsed.mmap is not None:
        mode = {(False, False): "NONE", (True, False): "MLOCK", (True, True): "MMAP_MLOCK", (False, True): "MMAP"}
        chosen = mode[parsed.mlock, parsed.mmap is not False]
        params.load_mode = getattr(library.llama_load_mode, f"LLAMA_LOAD_MODE_{chosen}")
    listed = parsed.api_key_file.read_text(encoding="utf-8").splitlines() if parsed.api_key_file else []
    keys = [*(parsed.api_key or environ.get("LLAMA_API_KEY", "")).split(","), *listed]
    params.api_keys = [key.strip() for key in keys if key.strip()]


def usable_cores(physical: int | None, cgroup_quota: Path) -> int:
    """Return how many threads to compute with: the physical cores, but no more than this process may use.

    ``cgroup_quota`` holds a container's share as ``QUOTA PERIOD``; more threads than that wait for each other.
    """
    cores = physical or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    try:
        quota, period = cgroup_quota.read_text(encoding="ascii").split()
        cores = min(cores, int(quota) // int(period))
    except (OSError, ValueError):
        pass  # no such file, or "max"
    return max(1, cores)


def _set(target: Any, field: str, value: Any) -> None:
    *parents, name = field.split(".")
    for parent in parents:
        target = getattr(target, parent)
    setattr(target, name, value)


def _constant(library: Any, dotted: str) -> Any:
    enum, name = dotted.split(".")
    return getattr(getattr(library, enum), name)
