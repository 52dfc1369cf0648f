from __future__ import annotations

import numpy as np

from kt_suite.acquisition import Domain, Evidence, Settings, propose

AXIS = Domain((None,), np.zeros(1, bool), np.zeros(1, bool))
GRID = np.linspace(0.0, 1.0, 9)[:, None]


def proposals(evidence: Evidence, num: int = 5, **settings: bool) -> np.ndarray:
    """Returns the coordinates of proposals that know of each other."""
    rng = np.random.default_rng(0)
    return propose(AXIS, evidence, rng, settings=Settings(**settings), num_proposals=num)[:, 0]


def test_of_two_equal_valleys_the_cheap_one_is_preferred_when_costs_count() -> None:
    losses = -(np.cos(4.0 * np.pi * (GRID[:, 0] - 0.25)))
    evidence = Evidence.of(GRID, losses, seconds=np.where(GRID[:, 0] < 0.5, 1.0, 60.0))
    assert proposals(evidence, is_cost_aware=True).max() < 0.5
    assert proposals(evidence).max() > 0.5


def test_cheaper_observations_tell_where_to_look() -> None:
    points = np.concatenate([GRID, [[0.05], [0.95]]])
    losses = np.concatenate([1.0 + (GRID[:, 0] - 0.7) ** 2, [0.41, 0.05]])
    evidence = Evidence.of(points, losses, fidelities=np.repeat([0.3, 1.0], [9, 2]))
    assert abs(proposals(evidence, 1)[0] - 0.7) < 0.1


def test_pending_points_are_kept_away_from() -> None:
    losses = np.sin(23.0 * GRID[:, 0]) + GRID[:, 0]
    (first,) = proposals(Evidence.of(GRID, losses), 1)
    points, is_pending = np.concatenate([GRID, [[first]]]), np.arange(10) == 9
    (second,) = proposals(Evidence.of(points, np.append(losses, np.nan), is_pending=is_pending), 1)
    assert abs(second - first) > 1e-2


def test_failures_and_infinite_losses_are_kept_away_from() -> None:
    losses = np.where(GRID[:, 0] > 0.6, np.inf, (GRID[:, 0] - 0.8) ** 2)
    losses[-1] = np.nan
    assert proposals(Evidence.of(GRID, losses), 3).max() < 0.7
