"""How much memory there is: of the machine, or of the container that the search runs in."""

from __future__ import annotations

import os
from pathlib import Path

from kt_suite.executors.fused import backend as backends

_UNKNOWN = 4 << 30
# Control groups of version 2 and of version 1: limit, bytes in use, and the part of these that is mere cache.
_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory() -> int:
    """Returns the bytes that programs may still take: of the accelerator too where it says what it has."""
    on_device = backends.current().free_memory()
    free = [_of_machine("MemAvailable"), *([] if on_device is None else [on_device])]
    for folder, limit, used, cache in _GROUPS:
        most, taken = _number(folder, limit), _number(folder, used)
        if most is not None and taken is not None:
            free.append(most - taken + _field(f"{folder}/memory.stat", cache, 0))
    return max(0, min(free))


def total_memory() -> int:
    """Returns the bytes of memory, whatever is free of it."""
    limits = [_number(folder, limit) for folder, limit, *_ in _GROUPS]
    return min([_of_machine("MemTotal"), *(limit for limit in limits if limit is not None)])


def _of_machine(name: str) -> int:
    kilobytes = _field("/proc/meminfo", f"{name}:", 0)
    if kilobytes:
        return kilobytes * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return _UNKNOWN


def _number(folder: str, name: str) -> int | None:
    try:
        return int(Path(folder, name).read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _field(path: str, name: str, default: int) -> int:
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return default
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), default)
