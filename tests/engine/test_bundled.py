from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.engine import bundled
from lemonade_like.engine.bundled_flags import OPTIONS, ArgumentsRefused, apply, check, make_parser, usable_cores
from lemonade_like.engine.process import EngineProcess

xllamacpp = pytest.importorskip("xllamacpp")


def params_for(*flags: str, environ: dict[str, str] | None = None) -> Any:
    params = xllamacpp.CommonParams()
    apply(make_parser("x").parse_args(["-m", "m.gguf", *flags]), params, xllamacpp, environ or {})
    return params


def read(params: Any, field: str) -> Any:
    for name in field.split("."):
        params = getattr(params, name)
    return params


def test_each_flag_in_each_spelling_sets_its_field_on_the_real_parameters() -> None:
    for option in OPTIONS:
        if option.on or option.off:
            for flag in option.on:
                assert read(params_for(flag), option.field) is True, flag
            for flag in option.off:
                assert read(params_for(flag), option.field) is False, flag
        elif option.choices:
            for flag in option.flags:
                for word, constant in option.choices.items():
                    assert read(params_for(flag, word), option.field).name == constant.split(".")[1], (flag, word)
        elif option.kind in (int, float):
            for flag in option.flags:
                assert read(params_for(flag, "3"), option.field) == 3, flag


def test_the_flags_that_the_server_passes_reach_the_engine() -> None:
    params = params_for(
        *("--host", "127.0.0.1", "--port", "81", "--ctx-size", "4096", "--parallel", "3", "--alias", "a,b"),
        environ={"LLAMA_API_KEY": "secret"},
    )
    assert params.model.path == "m.gguf"
    assert (params.hostnames, params.port) == (["127.0.0.1"], 81)
    assert (params.n_ctx, params.n_parallel, params.kv_unified) == (4096, 3, False)
    assert params.model_alias == {"a", "b"}
    assert params.api_keys == ["secret"]


def test_flags_that_stand_for_several_fields(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("one\n\ntwo\n")
    (tmp_path / "template").write_text("{{ messages }}")
    params = params_for(
        *("--api-key", "zero", "--api-key-file", str(tmp_path / "keys"), "-v", "-to", "9", "--reranking"),
        *("--chat-template-file", str(tmp_path / "template"), "--no-mmap", "-ngl", "all", "-fa"),
        *("--slot-save-path", str(tmp_path), "--chat-template-kwargs", '{"thinking": false}'),
        environ={"LLAMA_API_KEY": "not this"},
    )
    assert params.api_keys == ["zero", "one", "two"]
    assert params.chat_template == "{{ messages }}"
    assert params.load_mode.name == "LLAMA_LOAD_MODE_NONE"
    assert params.flash_attn_type.name == "LLAMA_FLASH_ATTN_TYPE_ENABLED"
    assert params.pooling_type.name == "LLAMA_POOLING_TYPE_RANK"
    assert (params.embedding, params.n_gpu_layers, params.timeout_read) == (True, -2, 9)
    assert params.slot_save_path == f"{tmp_path}/"
    assert params.default_template_kwargs == {"thinking": "false"}


@pytest.mark.parametrize(("word", "constant"), [("mean", "MEAN"), ("cls", "CLS"), ("last", "LAST"), ("rank", "RANK")])
def test_an_engine_for_embeddings_pools_as_it_is_told(word: str, constant: str) -> None:
    params = params_for("--embeddings", "--pooling", word, "--batch-size", "2048", "--ubatch-size", "2048")
    assert (params.embedding, params.n_batch, params.n_ubatch) == (True, 2048, 2048)
    assert params.pooling_type.name == f"LLAMA_POOLING_TYPE_{constant}"


def test_an_automatic_number_of_slots_is_llama_servers() -> None:
    params = params_for("-np", "-1")
    assert (params.n_parallel, params.kv_unified) == (4, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--n-cpu-moe", "3"], "does not know --n-cpu-moe"),
        (["--por", "1"], "does not know --por"),
        (["--port", "x"], "invalid int value"),
        (["--cache-type-k", "q9"], "invalid choice"),
        (["--chat-template-kwargs", "[]"], "invalid"),
    ],
)
def test_a_flag_that_cannot_be_mapped_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    with pytest.raises(ArgumentsRefused, match=said):
        check(flags)
    assert bundled.main(["-m", "m.gguf", *flags]) == 2
    assert said in capsys.readouterr().err


def test_arguments_with_which_nothing_would_start_are_refused() -> None:
    with pytest.raises(ArgumentsRefused, match="--help"):
        check(["--threads", "1", "--help"])
    check(["--threads", "1"])


def test_no_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert bundled.main([]) == 2
    assert "--model" in capsys.readouterr().err


def test_a_missing_wheel_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert bundled.main(["-m", "x"]) == bundled.NOT_INSTALLED
    assert "pip install 'lemonade-like[engine]'" in capsys.readouterr().err


def test_a_container_computes_with_no_more_threads_than_its_share(tmp_path: Path) -> None:
    share = tmp_path / "cpu.max"
    share.write_text("100000 100000\n")
    assert usable_cores(64, share) == 1
    share.write_text("max 100000\n")
    assert usable_cores(1, share) == 1
    assert usable_cores(None, tmp_path / "missing") >= 1


def test_the_version_is_the_wheels() -> None:
    command = [sys.executable, "-m", "lemonade_like.engine.bundled", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"xllamacpp {xllamacpp.__version__}\n"


async def test_it_answers_what_llama_server_answers(real_engine: EngineProcess, session: Any) -> None:
    client = real_engine.client
    for path in ("/health", "/props", "/slots", "/v1/models"):
        async with session.get(client.base_url + path, headers=client._headers) as response:
            assert response.status == 200, path
    async with session.post(
        f"{client.base_url}/tokenize", headers=client._headers, json={"content": "Hello"}
    ) as response:
        assert len((await response.json())["tokens"]) == 1
    assert "n_slots = 2, n_ctx_slot = 512, kv_unified = 'false'" in real_engine.log_path.read_text()
