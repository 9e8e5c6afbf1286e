"""What is asked of the machine."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

from pregen.engines.local import resources

if TYPE_CHECKING:
    from pathlib import Path


def test_the_budget_is_a_part_of_the_free_memory() -> None:
    budget_bytes = resources.memory_budget_bytes()
    assert 0 < budget_bytes < psutil.virtual_memory().total


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("1:name=systemd:/x\n0::/outer/inner\n")
    inner = tmp_path / "fs" / "outer" / "inner"
    inner.mkdir(parents=True)
    for group, limit, used in ((inner, "max", 5), (inner.parent, "1000", 300)):
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text("anon 200\nactive_file 60\ninactive_file 40\n")
    assert resources.cgroup_room_bytes(str(own), str(tmp_path / "fs")) == 800


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert resources.cgroup_room_bytes(str(tmp_path / "nothing"), str(tmp_path)) is None


def test_the_size_of_this_process_is_that_which_psutil_sees() -> None:
    address_space_bytes, rss_bytes = resources.process_size()
    seen = psutil.Process().memory_info()
    assert abs(address_space_bytes - seen.vms) < seen.vms / 2
    assert abs(rss_bytes - seen.rss) < seen.rss / 2


def test_growth_beyond_the_limit_is_a_memory_error() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    program = (
        "from pregen.engines.local import resources\n"
        "resources.limit_growth(64 << 20)\n"
        "bytearray(32 << 20)\n"
        "try:\n"
        "    bytearray(128 << 20)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "refused\n"
    assert resource.getrlimit(resource.RLIMIT_AS) == before
