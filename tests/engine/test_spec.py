from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_like.engine.spec import (
    BadEngineArguments,
    EngineSpec,
    child_environment,
    command_line,
    parse_extra_args,
)
from lemonade_like.errors import BadRequest
from lemonade_like.settings import Mode

SPEC = EngineSpec(("/opt/llama-server",), "system", Path("/m/a model.gguf"), "a-model", 8192, 4, jinja=False)


def test_a_harmony_engine_gets_the_six_flags_that_any_engine_takes_and_no_other() -> None:
    assert command_line(SPEC, host="127.0.0.1", port=4321) == [
        "/opt/llama-server",
        *("--model", "/m/a model.gguf"),
        *("--host", "127.0.0.1"),
        *("--port", "4321"),
        *("--ctx-size", "8192"),
        *("--parallel", "4"),
        *("--alias", "a-model"),
    ]


def test_jinja_is_switched_on_explicitly_where_the_template_is_needed() -> None:
    spec = EngineSpec(("x", "-y"), "cpu", Path("m"), "m", 0, 1, jinja=True, extra_args=("--top-k", "3"))
    command = command_line(spec, host="h", port=1)
    assert command[:3] == ["x", "-y", "--model"]
    assert command[-3:] == ["--jinja", "--top-k", "3"]


def test_a_model_that_sees_is_given_its_projector() -> None:
    spec = EngineSpec(("x",), "cpu", Path("m"), "m", 0, 1, jinja=False, mmproj_path=Path("/m/mmproj.gguf"))
    assert command_line(spec, host="h", port=1)[-2:] == ["--mmproj", "/m/mmproj.gguf"]


@pytest.mark.parametrize("mode", ["embeddings", "reranking"])
def test_an_engine_that_writes_nothing_is_told_so_and_what_it_has_to_know_for_it(mode: Mode) -> None:
    spec = EngineSpec(("x",), "cpu", Path("m"), "m", 0, 1, jinja=False, extra_args=("-t", "1"), mode=mode)
    assert command_line(spec, host="h", port=1)[-3:] == [f"--{mode}", "-t", "1"]
    told = replace(spec, pooling="mean", batch=2048)
    assert command_line(told, host="h", port=1)[-9:] == [
        *(f"--{mode}", "--pooling", "mean", "--batch-size", "2048", "--ubatch-size", "2048"),
        *("-t", "1"),
    ]


def test_what_steers_or_leaks_stays_out_of_the_engines_environment() -> None:
    environ = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "GGML_VK_VISIBLE_DEVICES": "0",
        "HF_HOME": "/models",
        "LLAMA_ARG_PORT": "80",
        "llama_arg_host": "0.0.0.0",
        "LLAMA_API_KEY": "other",
        "AIP_HTTP_PORT": "8080",
        "HF_TOKEN": "secret",
        "GITHUB_TOKEN": "secret",
        "LEMONADE_LIKE_API_KEY": "secret",
    }
    assert child_environment(environ, "key") == {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "GGML_VK_VISIBLE_DEVICES": "0",
        "HF_HOME": "/models",
        "LLAMA_ARG_UI": "0",
        "LLAMA_ARG_WEBUI": "0",
        "LLAMA_ARG_NO_WEBUI": "1",
        "LLAMA_ARG_LOG_COLORS": "off",
        "LLAMA_LOG_COLORS": "off",
        "LLAMA_ARG_ENDPOINT_SLOTS": "1",
        "LLAMA_API_KEY": "key",
    }


def test_extra_arguments_are_split_as_a_shell_would() -> None:
    assert parse_extra_args("-ngl 99 --override-tensor 'a b=CPU'") == ("-ngl", "99", "--override-tensor", "a b=CPU")
    assert parse_extra_args("") == ()


@pytest.mark.parametrize(
    "text",
    [
        *("--port 1", "-m x", "--host=0.0.0.0", "-np 3", "-c 5", "-a x", "--api-key k", "-ngl 1 --ctx-size 9"),
        *("-hf a/b", "--hf-token x", "--log-file x", "--path /", "--models-max 2"),
        *("--embedding", "--embeddings", "--rerank", "--reranking"),
        # llama-server reads these as the ones with dashes.
        *("--ctx_size 9", "--api_key=k", "--model_url x"),
    ],
)
def test_a_flag_that_is_the_servers_to_set_is_refused_by_name(text: str) -> None:
    written = next(word.partition("=")[0] for word in text.split() if word.startswith("-") and word != "-ngl")
    flag = written.replace("_", "-")
    with pytest.raises(BadEngineArguments, match=f"may not contain {flag}:") as refused:
        parse_extra_args(text)
    assert isinstance(refused.value, BadRequest)
    assert refused.value.param == "llamacpp_args"


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(BadEngineArguments, match="cannot be read"):
        parse_extra_args("--foo 'bar")
