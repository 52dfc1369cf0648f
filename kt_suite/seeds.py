"""Seeds: one of a search, from which those of its trials and runs follow."""

from __future__ import annotations

import numpy as np


def trial_seed(seed: int, number: int) -> int:
    """Returns the seed of the trial with a number: 31 bits that depend on nothing else."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def fresh_seed() -> int:
    """Returns a seed drawn from the system's entropy: 31 bits."""
    return int(np.random.SeedSequence().generate_state(1)[0] >> 1)
