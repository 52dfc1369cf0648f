"""What errors about data share: near names, short lists, and the one about missing values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from kt_suite.errors import InputError


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``"Did you mean a or b?"`` for the known names near to ``name``, or the empty string."""
    originals = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name.lower(), originals, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(originals[item] for item in near)}?" if near else ""


def shortened(items: Any) -> str:
    """Returns the items as text, the first ten of them."""
    is_mapping = isinstance(items, Mapping)
    words = [f"{item}: {items[item]}" if is_mapping else str(item) for item in items]
    return ", ".join(words[:10]) + (f", and {len(words) - 10} more" if len(words) > 10 else "")


def not_finite(what: str, counts: Mapping[str, int]) -> InputError:
    """Returns the error about missing values; ``counts`` says how many are where."""
    found = ", ".join(f"{name} ({count} missing)" for name, count in counts.items())
    remedy = "Fill them in (with the median of the column, say), or remove those rows or columns."
    return InputError(f"{what} must hold finite numbers, but got NaN, infinite or empty values in {found}. {remedy}")
