"""Seeds: one of a search, from which those of its trials and runs follow."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np


def trial_seed(seed: int, number: int) -> int:
    """Returns the seed of the trial with a number: 31 bits that depend on nothing else."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def fresh_seed() -> int:
    """Returns a seed drawn from the system's entropy: 31 bits."""
    return int(np.random.SeedSequence().generate_state(1)[0] >> 1)


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Gives Python's and NumPy's global generators back as they were: trials seed them."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - to leave it as it was
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
