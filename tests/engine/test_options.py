from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.engine.options import (
    EngineOptions,
    backend_options,
    check_arguments,
    default_options,
    merge_arguments,
    merge_options,
    pooling_in,
)
from lemonade_like.settings import Settings, SettingsError

NOTHING = EngineOptions()
LAYERS = ("request", "model", "backend", "default")


@pytest.mark.parametrize("field", ["ctx_size", "parallel", "backend"])
@pytest.mark.parametrize("said_by", [LAYERS[first:] for first in range(4)])
def test_the_request_goes_before_the_model_the_backend_and_the_settings(field: str, said_by: tuple[str, ...]) -> None:
    values = {name: f"of {name}" for name in said_by}
    layers = {name: EngineOptions(**{field: values[name]}) if name in values else NOTHING for name in LAYERS}  # type: ignore[arg-type]
    assert getattr(merge_options(**layers), field) == f"of {said_by[0]}"


def test_zero_and_nothing_are_two_things() -> None:
    merged = merge_options(EngineOptions(ctx_size=0), EngineOptions(ctx_size=8), NOTHING, EngineOptions(ctx_size=16))
    assert merged.ctx_size == 0


def test_arguments_add_up_and_those_of_a_request_stand_for_the_models() -> None:
    default = EngineOptions(llamacpp_args=("--threads", "8"))
    backend = EngineOptions(llamacpp_args=("-ngl", "99"))
    model = EngineOptions(llamacpp_args=("--flash-attn", "on"))
    request = EngineOptions(llamacpp_args=("--mlock",))
    machine = ("--threads", "8", "-ngl", "99")
    assert merge_options(NOTHING, NOTHING, backend, default).llamacpp_args == machine
    assert merge_options(NOTHING, model, backend, default).llamacpp_args == (*machine, "--flash-attn", "on")
    assert merge_options(request, model, backend, default).llamacpp_args == (*machine, "--mlock")
    nothing_of_the_model = EngineOptions(llamacpp_args=())
    assert merge_options(nothing_of_the_model, model, backend, default).llamacpp_args == machine


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([["-ngl", "99"], ["--n-gpu-layers", "0"]], "--n-gpu-layers 0"),
        ([["--mmap"], ["--no-mmap"]], "--no-mmap"),
        ([["--n_gpu_layers", "99"], ["-ngl", "0"]], "-ngl 0"),
        ([["--no-warmup", "-t", "4"], ["--warmup"]], "-t 4 --warmup"),
        ([["-fa"], ["--flash-attn", "off"]], "--flash-attn off"),
        ([["--temp", "-1", "--seed", "-2"], ["--temp", "0"]], "--seed -2 --temp 0"),
        ([["-ot", "a=CPU", "-ot", "b=CPU"], ["--mlock"]], "-ot a=CPU -ot b=CPU --mlock"),
        ([["-ot", "a=CPU", "-ot", "b=CPU"], ["-ot", "c=CPU"]], "-ot c=CPU"),
        ([["--new-flag", "1", "2"], ["--new-flag=3"]], "--new-flag=3"),
        ([["stray"], []], "stray"),
        ([], ""),
    ],
)
def test_of_two_that_say_the_same_flag_the_later_one_holds(layers: list[list[str]], expected: str) -> None:
    assert " ".join(merge_arguments(*layers)) == expected


@given(st.lists(st.lists(st.sampled_from(["-a", "--b", "-c", "1", "-2", "x"]), max_size=6), max_size=4))
def test_the_last_layer_is_always_kept_whole_and_nothing_is_made_up(layers: list[list[str]]) -> None:
    merged = merge_arguments(*layers)
    last = layers[-1] if layers else []
    assert list(merged[len(merged) - len(last) :]) == last
    assert set(merged) <= {argument for layer in layers for argument in layer}


def test_the_settings_are_two_layers(tmp_path: Path) -> None:
    settings = Settings(
        cache_dir=tmp_path,
        ctx_size=8192,
        backend="vulkan",
        llamacpp_args="--threads 8",
        llamacpp_args_by_backend={"vulkan": "-ngl 99"},
    )
    assert default_options(settings) == EngineOptions(8192, 4, "vulkan", ("--threads", "8"))
    assert backend_options(settings, "vulkan") == EngineOptions(llamacpp_args=("-ngl", "99"))
    assert backend_options(settings, "cpu") == NOTHING


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"llamacpp_args": "--port 1"}, "It is in --llamacpp-args."),
        ({"llamacpp_args_by_backend": {"cpu": "-t 4", "vulkan": "-c 1"}}, "It is in llamacpp_args_by_backend, vulkan."),
    ],
)
def test_arguments_that_are_the_servers_to_set_are_found_before_there_is_an_engine(
    tmp_path: Path, settings: dict[str, object], part: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        check_arguments(Settings(cache_dir=tmp_path, **settings))  # type: ignore[arg-type]
    assert "may not contain" in refused.value.message
    assert part in refused.value.message
    check_arguments(Settings(cache_dir=tmp_path, llamacpp_args="-ngl 99"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), None),
        (("--threads", "2"), None),
        (("--threads", "2", "--pooling", "mean", "-v"), "mean"),
        (("--pooling=cls",), "cls"),
    ],
)
def test_the_way_of_pooling_is_found_among_the_arguments(arguments: tuple[str, ...], expected: str | None) -> None:
    assert pooling_in(arguments) == expected
