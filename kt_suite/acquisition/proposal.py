"""The next points of a search, from what it knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_suite.acquisition.domain import Domain
from kt_suite.acquisition.evidence import Evidence
from kt_suite.acquisition.maximization import maximize
from kt_suite.acquisition.search_model import SearchModel, Settings
from kt_suite.acquisition.threads import one_blas_thread

Array = np.ndarray

_MAX_CHECKED = 500


def propose(
    domain: Domain,
    evidence: Evidence,
    rng: np.random.Generator,
    *,
    settings: Settings | None = None,
    num_proposals: int = 1,
    is_allowed: Callable[[Array], bool] = lambda point: True,
) -> Array:
    """Returns the points to try next.

    Pending trials are fantasised: the surrogate believes its own mean there (the "kriging believer" of Ginsbourger et
        al., 2010), so
    that little is to be gained close by. So are failed ones; and the chance of success, learned by a surrogate of its
    own, weighs
    every point.

    Args:
        domain: Where to look.
        evidence: What is known, with at least two losses.
        rng: Source of all randomness.
        settings: How to propose.
        num_proposals: Points wanted.
        is_allowed: Whether a full point of shape ``(d,)`` may be proposed; says no to repeats.

    Returns:
        Full points, of shape ``(k, d)``. k is less than ``num_proposals`` only where no other allowed point was found.
    """
    domain = domain.with_learned_activity(evidence.points)
    proposals = np.empty((0, domain.num_dimensions))
    with one_blas_thread():
        model = SearchModel(domain, evidence, rng, settings or Settings())
        while len(proposals) < num_proposals:
            ranked = maximize(model.acquisition, domain, rng, anchors=model.anchors(), num_starts=model.num_starts)
            if not domain.is_small:
                ranked = np.concatenate([ranked[:_MAX_CHECKED], domain.sample(rng, _MAX_CHECKED)])
            point = _first_new(ranked, domain.mask(ranked), domain.mask(proposals), is_allowed)
            if point is None:
                break
            proposals = np.vstack([proposals, point])
            model.believe(domain.mask(point[None, :]))
    return proposals


def _first_new(points: Array, masked: Array, taken: Array, is_allowed: Callable[[Array], bool]) -> Array | None:
    for point, row in zip(points, masked, strict=True):
        is_same = (taken == row) | (np.isnan(taken) & np.isnan(row))
        if not is_same.all(axis=1).any() and is_allowed(point):
            return np.asarray(point)
    return None
