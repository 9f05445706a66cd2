from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.engine.backends.memory import MachineMemory, free_and_total, usable_ram
from lemonade_like.engine.backends.probe import Ram
from tests.support.machines import GB, amd, mac, nvidia, recorded

MIB = 1024 * 1024


def test_memory_is_the_machines_and_that_of_its_gpus(tmp_path: Path) -> None:
    memory = free_and_total(nvidia(tmp_path))
    assert memory == MachineMemory(32 * GB, 20 * GB, (24564 + 12288) * MIB, (23500 + 12000) * MIB)
    assert memory.free_for("cuda") == memory.ram_free + memory.vram_free
    assert memory.total_for("cuda") == memory.ram_total + memory.vram_total
    for backend in ("cpu", "bundled"):
        assert (memory.free_for(backend), memory.total_for(backend)) == (20 * GB, 32 * GB)


def test_a_gpu_without_memory_of_its_own_adds_none(tmp_path: Path) -> None:
    assert free_and_total(mac(tmp_path)) == MachineMemory(32 * GB, 20 * GB, 0, 0)


def test_a_gpu_that_does_not_say_what_is_free_counts_as_free(tmp_path: Path) -> None:
    probe = amd(tmp_path)
    (tmp_path / "sys/class/drm/card1/device/mem_info_vram_used").unlink()
    assert free_and_total(probe).vram_free == 24 * GB


def version_2(path: str, limit: str, used: int, cache: int = 0) -> dict[str, str]:
    return {
        f"sys/fs/cgroup{path}/memory.max": limit,
        f"sys/fs/cgroup{path}/memory.current": str(used),
        f"sys/fs/cgroup{path}/memory.stat": f"anon 1\ninactive_file {cache}\n",
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Ram(32 * GB, 20 * GB)),
        ({"proc/self/cgroup": "0::/\n"}, Ram(32 * GB, 20 * GB)),
        ({"proc/self/cgroup": "0::/\n", **version_2("", str(8 * GB), 3 * GB)}, Ram(8 * GB, 5 * GB)),
        # What is cached can be dropped.
        ({"proc/self/cgroup": "0::/\n", **version_2("", str(8 * GB), 7 * GB, cache=4 * GB)}, Ram(8 * GB, 5 * GB)),
        ({"proc/self/cgroup": "0::/a/b\n", **version_2("/a/b", "max", 1)}, Ram(32 * GB, 20 * GB)),
        # The outer group is the narrower one.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                **version_2("/a/b", str(16 * GB), GB),
                **version_2("/a", str(4 * GB), GB),
            },
            Ram(4 * GB, 3 * GB),
        ),
        # More is allowed than is free.
        ({"proc/self/cgroup": "0::/\n", **version_2("", str(31 * GB), GB)}, Ram(31 * GB, 20 * GB)),
        # Over the limit: nothing is free, and no number is negative.
        ({"proc/self/cgroup": "0::/\n", **version_2("", str(2 * GB), 3 * GB)}, Ram(2 * GB, 0)),
        ({"proc/self/cgroup": "nonsense\n::\n0:\n", **version_2("", "lots", 3)}, Ram(32 * GB, 20 * GB)),
    ],
    ids=["none", "no limit file", "limit", "cache", "max", "outer", "wide", "over", "nonsense"],
)
def test_a_containers_limit_holds(tmp_path: Path, files: dict[str, str], expected: Ram) -> None:
    assert usable_ram(recorded(tmp_path, files=files)) == expected


@pytest.mark.parametrize("path", ["/docker/abc", "/"])
def test_a_limit_of_version_1_holds_although_the_path_is_that_of_the_host(tmp_path: Path, path: str) -> None:
    base = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": f"5:cpu,cpuacct:/x\n4:memory:{path}\n0::/\n",
        f"{base}/memory.limit_in_bytes": str(6 * GB),
        f"{base}/memory.usage_in_bytes": str(2 * GB),
        f"{base}/memory.stat": f"inactive_file 5\ntotal_inactive_file {GB}\n",
    }
    assert usable_ram(recorded(tmp_path, files=files)) == Ram(6 * GB, 5 * GB)


def test_no_limit_is_written_as_a_huge_one_in_version_1(tmp_path: Path) -> None:
    base = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "4:memory:/\n",
        f"{base}/memory.limit_in_bytes": "9223372036854771712",
        f"{base}/memory.usage_in_bytes": "1",
    }
    assert usable_ram(recorded(tmp_path, files=files)) == Ram(32 * GB, 20 * GB)


def test_this_machines_memory_is_within_reason() -> None:
    memory = free_and_total()
    assert 0 < memory.ram_free <= memory.ram_total
    assert 0 <= memory.vram_free <= memory.vram_total
