"""Which trials a surrogate sees when there are too many."""

from __future__ import annotations

import numpy as np

from kt_suite.surrogates import MixedMatern

Array = np.ndarray


def choose_rows(kernel: MixedMatern, x: Array, losses: Array, rng: np.random.Generator, *, num_rows: int) -> Array:
    """Returns the indices, in increasing order, of at most ``num_rows`` of ``n`` trials.

    Two fifths are the best, three tenths the nearest to the best one, and the rest are drawn from the others, so that
    the
    surrogate is exact where it matters and still knows the whole space.

    Args:
        kernel: Measures distance, with equal weights.
        x: Points, of shape ``(n, d)``, NaN where inactive.
        losses: Their losses, of shape ``(n,)``.
        rng: Draws the rest.
        num_rows: Rows at most.
    """
    if len(x) <= num_rows:
        return np.arange(len(x))
    order = np.argsort(losses, kind="stable")
    best, others = order[: 2 * num_rows // 5], order[2 * num_rows // 5 :]
    distances = kernel.weighted(x[order[:1]], x[others], np.ones(x.shape[1]))[0]
    others = others[np.argsort(distances, kind="stable")]
    near, far = others[: 3 * num_rows // 10], others[3 * num_rows // 10 :]
    drawn = rng.choice(far, size=num_rows - len(best) - len(near), replace=False)
    return np.sort(np.concatenate([best, near, drawn]))
