"""What it takes to start one engine, and how that reads on a command line. Nothing here touches a process."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lemonade_like.settings import Mode

#: Flags that the server decides itself, by every spelling that llama-server knows. A second value on the command line
#: would win over ours, and the engine could then not be found, be used by others, or have other slots than we count.
RESERVED_FLAGS: Final = {
    "-m": "--model",
    "--model": "--model",
    "-mu": "--model",
    "--model-url": "--model",
    "-hf": "--model",
    "-hfr": "--model",
    "--hf-repo": "--model",
    "-hff": "--model",
    "--hf-file": "--model",
    "-dr": "--model",
    "--docker-repo": "--model",
    "--models-dir": "--model",
    "--models-preset": "--model",
    "--models-max": "--model",
    "--models-autoload": "--model",
    "--no-models-autoload": "--model",
    "-hft": "--hf-token",
    "--hf-token": "--hf-token",
    "--host": "--host",
    "--port": "--port",
    "--reuse-port": "--port",
    "--api-prefix": "--host",
    "--api-key": "--api-key",
    "--api-key-file": "--api-key",
    "--ssl-key-file": "--host",
    "--ssl-cert-file": "--host",
    "-c": "--ctx-size",
    "--ctx-size": "--ctx-size",
    "-np": "--parallel",
    "--parallel": "--parallel",
    "-a": "--alias",
    "--alias": "--alias",
    "--log-file": "--log-file",
    "--log-disable": "--log-file",
    "--path": "--path",
    "--embedding": "--embeddings",
    "--embeddings": "--embeddings",
    "--rerank": "--reranking",
    "--reranking": "--reranking",
}

_INSTEAD: Final = {
    "--model": "name the model with --model of lemonade-like, or in the request",
    "--host": "the engine listens on this machine only; --host of lemonade-like says where the server listens",
    "--port": "the engine's port is chosen anew at each start; --port of lemonade-like is the server's",
    "--api-key": "each engine has a random key of its own; --api-key of lemonade-like protects the server",
    "--ctx-size": "use --ctx-size of lemonade-like, or ctx_size when loading",
    "--parallel": "use --parallel of lemonade-like",
    "--alias": "the engine is named after the model",
    "--hf-token": "every user of this machine can read a command line; HF_TOKEN in the environment is for downloads",
    "--log-file": "each engine's log is a file in log_dir of lemonade-like",
    "--embeddings": "register the model with the label embeddings",
    "--reranking": "register the model with the label reranking",
    "--path": "the engine would show the files to every user of this machine",
}

#: Variables that would change what llama-server does behind our back (``LLAMA_ARG_*``, and ``AIP_*``, which move its
#: port), and secrets that are none of its business. What picks and tunes a GPU (``CUDA_VISIBLE_DEVICES``, ``GGML_*``)
#: stays: it is the machine's owner who set it.
_SCRUBBED_PREFIXES: Final = ("LLAMA_", "AIP_", "LEMONADE_LIKE_")
#: What is set instead of flags, because an engine that does not know a variable ignores it, and refuses an unknown
#: flag: no page (by its three names), no colours in the log, and /slots, which older ones have off.
_SET: Final = {
    "LLAMA_ARG_UI": "0",
    "LLAMA_ARG_WEBUI": "0",
    "LLAMA_ARG_NO_WEBUI": "1",
    "LLAMA_ARG_LOG_COLORS": "off",
    "LLAMA_LOG_COLORS": "off",
    "LLAMA_ARG_ENDPOINT_SLOTS": "1",
}
_SCRUBBED: Final = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "GITHUB_TOKEN"})


class BadEngineArguments(BadRequest, ValueError):
    """``llamacpp_args`` cannot be read, or hold a flag that is the server's to set."""

    default_code = "invalid_llamacpp_args"


@dataclass(frozen=True)
class EngineSpec:
    """Everything needed to start one engine.

    ``command`` is the executable and what must stand before all flags. ``backend`` is a name for people (``bundled``,
    ``system``, ``vulkan``, …). ``ctx_size`` is the context of all slots together, in tokens; 0 is the model's own.
    ``jinja`` says whether the engine applies the model's chat template: false when prompts come as token ids.
    ``mmproj_path`` is the projector of a model that sees or hears. ``mode`` is what it is started for; in another than
    ``chat`` it writes nothing. ``pooling`` and ``batch`` (tokens that it works on at once) are the engine's own choice
    where they are ``None``.
    """

    command: tuple[str, ...]
    backend: str
    model_path: Path
    alias: str
    ctx_size: int
    parallel: int
    jinja: bool
    extra_args: tuple[str, ...] = ()
    mmproj_path: Path | None = None
    mode: Mode = "chat"
    pooling: str | None = None
    batch: int | None = None


def command_line(spec: EngineSpec, *, host: str, port: int) -> list[str]:
    """Return the command that starts ``spec``'s engine.

    Six flags are always there, and where a model chats no other that an engine could be without: any executable that
    takes them and speaks like llama-server can be the engine. The port and the number of slots are explicit because
    llama-server's defaults for both are changing, and because an automatic number of slots shares one cache between
    them in a way that loses restored prompts. ``--jinja`` is passed only where the template is needed: newer
    llama-servers have it on anyway, older ones off. Its opposite is never passed: it is newer than many llama-servers,
    and a template that nobody uses does no harm. What only some engines know is said in their environment: see
    ``child_environment``.
    """
    command = [
        *spec.command,
        "--model",
        str(spec.model_path),
        "--host",
        host,
        "--port",
        str(port),
        "--ctx-size",
        str(spec.ctx_size),
        "--parallel",
        str(spec.parallel),
        "--alias",
        spec.alias,
    ]
    if spec.mmproj_path is not None:
        command += ["--mmproj", str(spec.mmproj_path)]
    if spec.jinja:
        command.append("--jinja")
    if spec.mode != "chat":
        command.append(f"--{spec.mode}")
    if spec.pooling is not None:
        command += ["--pooling", spec.pooling]
    if spec.batch is not None:
        command += ["--batch-size", str(spec.batch), "--ubatch-size", str(spec.batch)]
    return [*command, *spec.extra_args]


def child_environment(environ: Mapping[str, str], api_key: str) -> dict[str, str]:
    """Return the environment for an engine: the server's own, without what would steer or leak, with the engine's key.

    The key travels here and not on the command line, which every user of the machine can read, and so does what only
    some engines know: that there shall be no page, no colours in the log, and /slots.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_SCRUBBED_PREFIXES) and name.upper() not in _SCRUBBED
    }
    return {**kept, **_SET, "LLAMA_API_KEY": api_key}


def flag_name(argument: str) -> str:
    """Return the flag of an argument as llama-server reads it: ``--ctx_size`` is ``--ctx-size`` to it."""
    name = argument.partition("=")[0]
    return name.replace("_", "-") if name.startswith("--") else name


def parse_extra_args(text: str) -> tuple[str, ...]:
    """Split a user's ``llamacpp_args`` as a shell would, and refuse flags that are the server's to set.

    Unknown flags are passed on: the engine knows best what it takes. Raises ``BadEngineArguments``.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise BadEngineArguments(
            f"llamacpp_args cannot be read: {error} in {text!r}.", param="llamacpp_args"
        ) from error
    for argument in arguments:
        flag = flag_name(argument)
        if ours := RESERVED_FLAGS.get(flag):
            raise BadEngineArguments(
                f"llamacpp_args may not contain {flag}: the server sets {ours} itself; {_INSTEAD[ours]}.",
                param="llamacpp_args",
            )
    return arguments
