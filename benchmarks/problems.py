"""What the optimisers of `regret.py` are set to minimise.

A problem knows its space, a score that is observed (with noise, where it has any) and the regret of values, which no
optimiser sees.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from record_training import declare_mlp, load_table, row_name

Values = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One thing to minimise.

    Attributes:
        name: As in the table.
        num_trials: Trials of a search.
        declare: Declares the space.
        loss: The true loss of values.
        least: Its minimum; 0 where regret is to be the loss itself.
        noise: Standard deviation of the noise on what is observed.
    """

    name: str
    num_trials: int
    declare: Callable[[Any], None]
    loss: Callable[[Values], float]
    least: float = 0.0
    noise: float = 0.0

    def regret(self, values: Values) -> float:
        """Returns how far the true loss of ``values`` is above the least one."""
        return self.loss(values) - self.least

    def observe(self, values: Values, rng: np.random.Generator) -> float:
        """Returns what a trial reports."""
        return self.loss(values) + self.noise * float(rng.standard_normal())


def cube(num_dimensions: int) -> Callable[[Any], None]:
    """Returns the declaration of a unit cube."""

    def declare(hp: Any) -> None:
        for i in range(num_dimensions):
            hp.Float(f"x{i}", 0.0, 1.0)

    return declare


def coordinates(values: Values) -> np.ndarray:
    """Returns the point of a unit cube that values stand for."""
    return np.array([values[f"x{i}"] for i in range(len(values))])


def branin(values: Values) -> float:
    """Branin's function; its least value, at three points, is 0.397887."""
    x, y = 15.0 * values["x0"] - 5.0, 15.0 * values["x1"]
    bend = y - 5.1 / (4.0 * math.pi**2) * x**2 + 5.0 / math.pi * x - 6.0
    return bend**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * math.cos(x) + 10.0


_HARTMANN_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(values: Values) -> float:
    """Hartmann's function of six variables; its least value is -3.32237, and -3.2032 lies in wait as a local one."""
    exponents = (_HARTMANN_A * (coordinates(values) - _HARTMANN_P) ** 2).sum(axis=1)
    return -float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-exponents))


def declare_network(hp: Any) -> None:
    """Declares the space of a small network: logarithmic floats, integers, categories and a branch."""
    hp.Float("learning_rate", 1e-5, 1e-1, sampling="log")
    hp.Float("weight_decay", 1e-6, 1e-2, sampling="log")
    hp.Int("units", 8, 512, sampling="log")
    hp.Int("layers", 1, 5)
    hp.Choice("activation", ["relu", "tanh", "gelu", "selu"])
    hp.Choice("optimizer", ["adam", "rmsprop", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.99)
        hp.Boolean("nesterov")


def network_loss(values: Values) -> float:
    """A loss shaped as those of networks are: a valley in the learning rate that moves with the optimiser and the
    width.
    """
    rate, decay = math.log10(values["learning_rate"]), math.log10(values["weight_decay"])
    width = math.log2(values["units"])
    is_sgd = values["optimizer"] == "sgd"
    best_rate = {"adam": -3.0, "rmsprop": -3.4, "sgd": -1.9}[values["optimizer"]] - 0.08 * (width - 7.0)
    loss = 0.15 * abs(rate - best_rate) ** 1.5 * (1.6 if rate > best_rate else 1.0)
    loss += 0.012 * (width - 7.3) ** 2 + 0.03 * (values["layers"] - 3) ** 2 + 0.01 * (decay + 4.0) ** 2
    loss += {"relu": 0.03, "tanh": 0.12, "gelu": 0.0, "selu": 0.06}[values["activation"]]
    loss += {"adam": 0.02, "rmsprop": 0.06, "sgd": 0.0}[values["optimizer"]]
    if is_sgd:
        loss += 0.6 * (values["momentum"] - 0.9) ** 2 + (0.0 if values["nesterov"] else 0.01)
    return 0.2 + loss


_LEAST_NETWORK = 0.2


def recorded(dataset: str) -> Callable[[Values], float]:
    """Returns the validation loss of a really trained network, as `record_training.py` has stored it."""

    @functools.cache
    def table() -> dict[str, float]:
        return load_table(dataset)

    return lambda values: table()[row_name(values)]


def problems() -> list[Problem]:
    """Returns the problems, the artificial ones first."""
    return [
        Problem("branin", 30, cube(2), branin, least=0.3978873577297382),
        Problem("hartmann6", 60, cube(6), hartmann6, least=-3.322368011415515),
        Problem("network+noise", 60, declare_network, network_loss, least=_LEAST_NETWORK, noise=0.05),
        Problem("digits", 25, declare_mlp, recorded("digits")),
        Problem("breast_cancer", 25, declare_mlp, recorded("breast_cancer")),
    ]
