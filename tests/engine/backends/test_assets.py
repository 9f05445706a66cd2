"""The names are spelt as releases of llama.cpp spelt them, in three of their fashions."""

from __future__ import annotations

import pytest

from lemonade_like.engine.backends.assets import BackendError, choose_assets, has_engines


def names(listed: str) -> list[str]:
    return listed.split()


B11462 = names(
    """
cudart-llama-b11462-bin-ubuntu-cuda-12.8-x64.tar.gz cudart-llama-b11462-bin-ubuntu-cuda-13.4-x64.tar.gz
cudart-llama-b11462-bin-ubuntu-cuda-13.4-arm64.tar.gz
cudart-llama-bin-win-cuda-12.4-x64.zip cudart-llama-bin-win-cuda-13.4-x64.zip
llama-b11462-bin-android-arm64.tar.gz llama-b11462-bin-macos-arm64.tar.gz llama-b11462-bin-macos-x64.tar.gz
llama-b11462-bin-ubuntu-arm64.tar.gz llama-b11462-bin-ubuntu-cuda-12.8-x64.tar.gz
llama-b11462-bin-ubuntu-cuda-13.4-x64.tar.gz llama-b11462-bin-ubuntu-cuda-13.4-arm64.tar.gz
llama-b11462-bin-ubuntu-openvino-2026.4.1-x64.tar.gz llama-b11462-bin-ubuntu-rocm-10.0-x64.tar.gz
llama-b11462-bin-ubuntu-s390x.tar.gz llama-b11462-bin-ubuntu-sycl-fp16-x64.tar.gz
llama-b11462-bin-ubuntu-vulkan-arm64.tar.gz llama-b11462-bin-ubuntu-vulkan-x64.tar.gz
llama-b11462-bin-ubuntu-x64.tar.gz llama-b11462-bin-win-cpu-arm64.zip llama-b11462-bin-win-cpu-x64.zip
llama-b11462-bin-win-cuda-12.4-x64.zip llama-b11462-bin-win-cuda-13.4-x64.zip
llama-b11462-bin-win-opencl-adreno-arm64.zip llama-b11462-bin-win-rocm-10.0-x64.zip
llama-b11462-bin-win-vulkan-arm64.zip llama-b11462-bin-win-vulkan-x64.zip llama-b11462-ui.tar.gz
llama-b11462-xcframework.zip
"""
)

B10107 = names(
    """
cudart-llama-bin-win-cuda-12.4-x64.zip llama-b10107-bin-macos-arm64.tar.gz llama-b10107-bin-ubuntu-rocm-7.2-x64.tar.gz
llama-b10107-bin-ubuntu-vulkan-x64.tar.gz llama-b10107-bin-ubuntu-x64.tar.gz llama-b10107-bin-win-cpu-x64.zip
llama-b10107-bin-win-cuda-12.4-x64.zip llama-b10107-bin-win-hip-radeon-x64.zip llama-b10107-bin-win-vulkan-x64.zip
"""
)

B6123 = names(
    """
cudart-llama-bin-win-cuda-12.4-x64.zip llama-b6123-bin-macos-arm64.zip llama-b6123-bin-macos-x64.zip
llama-b6123-bin-ubuntu-vulkan-x64.zip llama-b6123-bin-ubuntu-x64.zip llama-b6123-bin-win-cpu-arm64.zip
llama-b6123-bin-win-cpu-x64.zip llama-b6123-bin-win-cuda-12.4-x64.zip llama-b6123-bin-win-hip-radeon-x64.zip
llama-b6123-bin-win-vulkan-x64.zip llama-b6123-xcframework.zip
"""
)


@pytest.mark.parametrize(
    ("listed", "backend", "system", "architecture", "expected"),
    [
        (B11462, "vulkan", "linux", "x64", "llama-b11462-bin-ubuntu-vulkan-x64.tar.gz"),
        (B11462, "vulkan", "linux", "arm64", "llama-b11462-bin-ubuntu-vulkan-arm64.tar.gz"),
        (B11462, "vulkan", "windows", "x64", "llama-b11462-bin-win-vulkan-x64.zip"),
        (B11462, "cpu", "linux", "x64", "llama-b11462-bin-ubuntu-x64.tar.gz"),
        (B11462, "cpu", "windows", "arm64", "llama-b11462-bin-win-cpu-arm64.zip"),
        (B11462, "cpu", "macos", "x64", "llama-b11462-bin-macos-x64.tar.gz"),
        (B11462, "metal", "macos", "arm64", "llama-b11462-bin-macos-arm64.tar.gz"),
        (B11462, "rocm", "linux", "x64", "llama-b11462-bin-ubuntu-rocm-10.0-x64.tar.gz"),
        (B11462, "rocm", "windows", "x64", "llama-b11462-bin-win-rocm-10.0-x64.zip"),
        (B10107, "rocm", "windows", "x64", "llama-b10107-bin-win-hip-radeon-x64.zip"),
        (B10107, "rocm", "linux", "x64", "llama-b10107-bin-ubuntu-rocm-7.2-x64.tar.gz"),
        (B6123, "vulkan", "linux", "x64", "llama-b6123-bin-ubuntu-vulkan-x64.zip"),
        (B6123, "metal", "macos", "arm64", "llama-b6123-bin-macos-arm64.zip"),
        ([*B6123, "llama-b6123-bin-ubuntu-x64.tar.gz"], "cpu", "linux", "x64", "llama-b6123-bin-ubuntu-x64.tar.gz"),
    ],
)
def test_the_archive_is_found_under_whatever_name_its_release_gives_it(
    listed: list[str], backend: str, system: str, architecture: str, expected: str
) -> None:
    assert choose_assets(listed, backend, system=system, architecture=architecture) == [expected]


@pytest.mark.parametrize(
    ("listed", "system", "architecture", "driver", "build"),
    [
        (B11462, "linux", "x64", (13, 4), "ubuntu-cuda-13.4-x64.tar.gz"),
        (B11462, "linux", "x64", (14, 0), "ubuntu-cuda-13.4-x64.tar.gz"),
        (B11462, "linux", "x64", (12, 8), "ubuntu-cuda-12.8-x64.tar.gz"),
        # Within a major version an older driver runs newer builds.
        (B11462, "linux", "x64", (12, 4), "ubuntu-cuda-12.8-x64.tar.gz"),
        (B11462, "linux", "x64", (13, 0), "ubuntu-cuda-13.4-x64.tar.gz"),
        (B11462, "linux", "x64", None, "ubuntu-cuda-12.8-x64.tar.gz"),
        (B11462, "linux", "arm64", (13, 4), "ubuntu-cuda-13.4-arm64.tar.gz"),
        (B11462, "windows", "x64", (12, 9), "win-cuda-12.4-x64.zip"),
        (B6123, "windows", "x64", (13, 1), "win-cuda-12.4-x64.zip"),
    ],
)
def test_cuda_comes_as_the_driver_can_run_it_with_its_libraries(
    listed: list[str], system: str, architecture: str, driver: tuple[int, int] | None, build: str
) -> None:
    engine, libraries = choose_assets(listed, "cuda", system=system, architecture=architecture, cuda=driver)
    assert engine.startswith("llama-")
    assert engine.endswith(f"-bin-{build}")
    assert libraries.startswith("cudart-llama-")
    assert libraries.endswith(f"bin-{build}")


@pytest.mark.parametrize(
    ("listed", "backend", "system", "architecture", "cuda", "parts"),
    [
        (B10107, "cuda", "linux", "x64", (12, 8), ("no build for cuda on linux x64", "CUDA 12.8", "win-cuda-12.4")),
        (B11462, "cuda", "linux", "arm64", (12, 8), ("no build for cuda on linux arm64",)),
        (B11462, "cuda", "linux", "x64", (11, 8), ("no build for cuda on linux x64",)),
        (B6123, "vulkan", "linux", "arm64", None, ("no build for vulkan on linux arm64", "b6123-bin-ubuntu-x64.zip")),
        (B11462, "cpu", "linux", "riscv64", None, ("no build for cpu on linux riscv64", " and ")),
        ([], "cpu", "linux", "x64", None, ("It has: nothing",)),
        (["llama-b1-bin-win-cuda-12.4-x64.zip"], "cuda", "windows", "x64", None, ("lacks CUDA's libraries",)),
    ],
)  # fmt: skip
def test_where_nothing_fits_the_error_lists_what_there_is(
    listed: list[str],
    backend: str,
    system: str,
    architecture: str,
    cuda: tuple[int, int] | None,
    parts: tuple[str, ...],
) -> None:
    with pytest.raises(BackendError) as missing:
        choose_assets(listed, backend, system=system, architecture=architecture, cuda=cuda)
    for part in parts:
        assert part in missing.value.message
    assert len(missing.value.message.splitlines()) <= 3


def test_a_release_for_people_has_no_engines() -> None:
    assert has_engines(B6123)
    assert not has_engines(["nightly-tag.txt", "llama-b1-ui.tar.gz", "cudart-llama-bin-win-cuda-12.4-x64.zip"])
