"""Memory is that of the container where there is one."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from kt_suite.executors.fused import backend, memory

GIB = 1 << 30


def in_container(monkeypatch: pytest.MonkeyPatch, folder: Path, limit: str, used: int, cache: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")
    monkeypatch.setattr(memory, "_GROUPS", ((str(folder), "memory.max", "memory.current", "inactive_file"),))
    monkeypatch.setattr(memory, "_of_machine", lambda name: {"MemTotal": 16 * GIB, "MemAvailable": 8 * GIB}[name])


def test_the_limit_of_a_container_counts_and_its_cache_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_container(monkeypatch, tmp_path, str(4 * GIB), used=3 * GIB, cache=2 * GIB)
    assert (memory.total_memory(), memory.free_memory()) == (4 * GIB, 3 * GIB)


def test_without_a_limit_the_machine_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_container(monkeypatch, tmp_path, "max", used=3 * GIB, cache=2 * GIB)
    assert (memory.total_memory(), memory.free_memory()) == (16 * GIB, 8 * GIB)


def test_this_machine_has_memory_and_some_of_it_is_free() -> None:
    assert 0 < memory.free_memory() < memory.total_memory()


@pytest.mark.parametrize(
    ("stats", "free"),
    [({"bytes_limit": 1000, "bytes_in_use": 400}, 600), ({"bytes_limit": 1000}, 1000), ({}, None), (None, None)],
)
def test_a_device_of_jax_tells_what_is_free(monkeypatch: pytest.MonkeyPatch, stats: Any, free: int | None) -> None:
    device = types.SimpleNamespace(memory_stats=lambda: stats)
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(local_devices=lambda: [device]))
    assert backend.JaxBackend().free_memory() == free
