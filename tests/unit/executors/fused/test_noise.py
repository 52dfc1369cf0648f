"""Random numbers of a member follow from its seed, the step and the place alone."""

from __future__ import annotations

import keras
import numpy as np

from kt_suite.executors.fused import noise

SEEDS = np.array([1, 2], "uint32")


def bits(seeds: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(noise.bits(seeds, 3, shape)))


def test_numbers_do_not_depend_on_wider_or_other_neighbours() -> None:
    both = bits(SEEDS, (5, 3, 9))
    np.testing.assert_array_equal(bits(SEEDS, (5, 3, 4)), both[..., :4])
    np.testing.assert_array_equal(bits(SEEDS[1:], (5, 3, 9)), both[1:])
    assert not np.array_equal(both[0], both[1])


def test_no_two_places_share_a_number() -> None:
    counters = noise._mixed((20_000, 64))
    assert len(np.unique(counters)) == counters.size
