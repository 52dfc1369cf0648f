"""The next points of a search, from what it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kt_suite.acquisition.acquisition import (
    Acquisition,
    Utility,
    log_improvement,
    log_probability_below,
    lower_confidence_bound,
    negative_mean,
)
from kt_suite.acquisition.domain import Domain
from kt_suite.acquisition.evidence import Evidence
from kt_suite.acquisition.maximization import maximize
from kt_suite.acquisition.scaling import scale_losses
from kt_suite.acquisition.subset import choose_rows
from kt_suite.surrogates import GaussianProcess, MixedMatern, Priors, fit

Array = np.ndarray

MIN_SCORED = 2

_MAX_FITTED = 250
_MAX_CONDITIONED = 500
_MAX_FAILED = 100
_NUM_ANCHORS = 5
_MAX_CHECKED = 500
_NOISE_FREE = 1e-6
_FAILURE_PRIORS = Priors(noise=0.05, noise_spread=1.0, min_noise=1e-3)


@dataclass(frozen=True)
class Settings:
    """How to propose.

    Attributes:
        noise: Variance of the noise, in units of the losses' variance; ``None`` to learn it.
        beta: Takes the lower confidence bound with this factor in place of log expected improvement.
        is_cost_aware: Whether improvement is counted per second.
    """

    noise: float | None = None
    beta: float | None = None
    is_cost_aware: bool = False


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

    Trials that are pending are fantasised: the surrogate believes its own mean there, so that nothing is gained by
    trying the same again. So are those that failed, and the chance of success, learned by a second surrogate, weighs every
    point.

    Args:
        domain: Where to look.
        evidence: What is known: at least ``MIN_SCORED`` losses.
        rng: Source of all randomness.
        settings: How to propose.
        num_proposals: Points wanted.
        is_allowed: Whether a full point of shape ``(d,)`` may be proposed; says no to repeats.

    Returns:
        Full points, of shape ``(k, d)``; k is less than ``num_proposals`` only if no other allowed point was found.
    """
    settings = settings or Settings()
    domain = domain.with_learned_activity(evidence.points)
    model = _Model(domain, evidence, rng, settings)
    proposals: list[Array] = []
    while len(proposals) < num_proposals:
        ranked = maximize(model.acquisition(), domain, rng, anchors=model.anchors, num_starts=model.num_starts)
        point = _first_allowed(ranked, domain, rng, is_allowed, proposals)
        if point is None:
            break
        proposals.append(point)
        model.believe(domain.mask(point[None, :]))
    return np.array(proposals).reshape(len(proposals), domain.num_dimensions)


def _first_allowed(
    ranked: Array,
    domain: Domain,
    rng: np.random.Generator,
    is_allowed: Callable[[Array], bool],
    proposals: list[Array],
) -> Array | None:
    is_listed = domain.is_listed
    taken = domain.mask(np.array(proposals)) if proposals else np.empty((0, domain.num_dimensions))
    candidates = ranked if is_listed else np.concatenate([ranked[:_MAX_CHECKED], domain.sample(rng, _MAX_CHECKED)])
    for point, masked in zip(candidates, domain.mask(candidates), strict=True):
        is_new = not np.any(np.all((taken == masked) | (np.isnan(taken) & np.isnan(masked)), axis=1))
        if is_new and is_allowed(point):
            return np.asarray(point)
    return None


class _Model:
    """The surrogates of one search at one moment."""

    def __init__(self, domain: Domain, evidence: Evidence, rng: np.random.Generator, settings: Settings) -> None:
        self._settings = settings
        ...
