"""A look at the models of a space, before any trial: whether they can share programs, and whether that pays."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from kt_suite.checks import inputs_of
from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.lazy import variables_later
from kt_suite.executors.fused.preparation import build_inputs
from kt_suite.executors.fused.reasons import check_run
from kt_suite.executors.fused.skeleton import skeleton
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.fused.view import view_of
from kt_suite.executors.fused.widths import operations
from kt_suite.hypermodel import fit_options
from kt_suite.seeds import generators_kept
from kt_suite.space import Space

_NUM_SAMPLES = 12
# Multiply-adds of a row beyond which a step has enough work of its own: 32 rows keep a processor busy for ten times as
# long as Keras takes to start the step. On an accelerator that is later.
_MOST_OPERATIONS = 1e7
_ACCELERATOR = 100.0
# Runs that are worth a program: it was measured to take as long to make as one to three runs of 20 epochs take inline,
# dense networks the less, convolutions the more.
_FEWEST_RUNS = 3.0
_FEW_SAMPLES = 4
_MANY_TRIALS = 64


def judge_space(runner: Any) -> tuple[str | None, float]:
    """Looks at the model of the default values.

    Args:
        runner: The tuner, with its hypermodel bound to the data.

    Returns:
        Why the trials of a search had better train one after the other (``None`` if fusing pays), and the multiply-adds
        that a row costs, 0 while that is unknown.
    """
    try:
        model = _build(runner, runner.oracle.get_space())
        if not model.built and _inputs(runner) is None:
            return None, 0.0  # the data will say
        check_run(model, {"epochs": 1})
        skeleton(model)
    except Unfusable as verdict:
        return verdict.reasons[0], 0.0
    except Exception:  # the trials will say
        return "the model of the default values cannot be built", 0.0
    most = _MOST_OPERATIONS * (_ACCELERATOR if backends.current().has_accelerator() else 1.0)
    number = operations(view_of(model))
    if number > most:
        return "each model keeps the device busy by itself", number
    if runs_a_program(runner) < _FEWEST_RUNS:
        return "the trials are of too many kinds for each to be worth a program", number
    return None, number


def runs_a_program(runner: Any) -> float:
    """Returns about how many runs of a search will share a program, by random values of its space.

    How many kinds of models there are is estimated from those met once and twice (Chao, 1984, "Nonparametric estimation
    of the number of classes in a population", in the bias-corrected form), and as if all were as likely.
    """
    bounds = (runner.oracle.max_trials, Space(runner.oracle.hyperparameters).size())
    trials = min((bound for bound in bounds if bound is not None), default=_MANY_TRIALS)
    runs = trials * len(runner.run_plans())
    if runs < _FEWEST_RUNS:
        return float(runs)  # whatever their kinds, there are no more
    met: Counter[Any] = Counter()
    for number, hp in enumerate(_samples(runner)):
        if number == _FEW_SAMPLES and len(met) == 1:
            break
        with contextlib.suppress(Exception):  # that one trains inline, or fails
            met[skeleton(_build(runner, hp)), fit_options(runner.hypermodel, hp).get("batch_size")] += 1
    if not met:
        return 0.0
    once, twice = (sum(count == times for count in met.values()) for times in (1, 2))
    kinds = len(met) + once * (once - 1) / (2 * (twice + 1))
    programs = kinds * (1 - (1 - 1 / kinds) ** trials)
    return float(runs / programs)


def preview(runner: Any) -> list[str]:
    """Returns the groups that random values of the space fall into, and why some cannot be fused."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    reasons: Counter[str] = Counter()
    for hp in _samples(runner):
        try:
            model = _build(runner, hp)
            if not model.built and _inputs(runner) is None:
                reasons["unless the data, which its inputs follow from, let it be fused"] += 1
                continue
            check_run(model, {"epochs": 1})
            groups[skeleton(model)].append(model)
        except Unfusable as verdict:
            reasons.update(verdict.reasons)
        except Exception as error:
            reasons[f"build fails: {error}"] += 1
    lines = [f"Of {_NUM_SAMPLES} random trials:"]
    lines += [f"{len(models)} in one program: {describe(models[0])}" for models in groups.values()]
    lines += [f"{number} one after the other: {reason}" for reason, number in reasons.items()]
    return lines


def describe(model: Any) -> str:
    """Returns the layers and the optimizer of a model, in a line."""
    layers = "-".join(type(layer).__name__ for layer in model.layers)
    return f"{layers}; {type(model.optimizer).__name__}"


def _samples(runner: Any) -> Iterator[Any]:
    """Yields random values of the space, always the same."""
    space, rng = Space(runner.oracle.hyperparameters), np.random.default_rng(0)
    for _ in range(_NUM_SAMPLES):
        hp = runner.oracle.get_space()
        hp.values = space.sample(rng)
        yield hp


def _inputs(runner: Any) -> Any:
    """Returns what models are to be trained on; ``None`` before ``search`` is called."""
    return inputs_of(runner._fit_args, runner._fit_kwargs)[0] if hasattr(runner, "_fit_args") else None


def _build(runner: Any, hp: Any) -> Any:
    with generators_kept(), variables_later():
        model = runner._build_hypermodel(hp)
        build_inputs(model, _inputs(runner))
    return model
