"""From an attempt of a trial to runs that are ready to join a stack."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from kt_suite.errors import KTSuiteError
from kt_suite.executors.base import ReportHandler, TrialSpec
from kt_suite.executors.fused.attempt import Attempt, Run
from kt_suite.executors.fused.fit_data import FitData
from kt_suite.executors.fused.lazy import variables_later
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.reasons import check_run
from kt_suite.executors.fused.skeleton import skeleton
from kt_suite.executors.fused.snapshot import Snapshot
from kt_suite.executors.fused.streams import input_shape
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.fused.view import view_of
from kt_suite.executors.training import fresh_keras, fused_state_path
from kt_suite.hypermodel import HyperModel, prepare_fit


class Preparation:
    """Builds the models of attempts, with the seeds that they have inline.

    Args:
        runner: The tuner, with the arguments of ``search``.
        shuffle: ``"shared"`` or ``"per_trial"``, where rows are shuffled.
    """

    def __init__(self, runner: Any, shuffle: str) -> None:
        self._runner = runner
        self._seed = runner.oracle.seed
        self._shuffle = shuffle
        # Rows are cut out for those alone who look at them before training.
        adapts = getattr(type(runner.hypermodel), "adapt", HyperModel.adapt) is not HyperModel.adapt
        self._fit_data = FitData(runner._fit_args, runner._fit_kwargs, self._seed, cuts_folds=adapts)
        self._is_lazy = True

    def attempt(self, spec: TrialSpec, report: ReportHandler) -> Attempt:
        """Returns an attempt without runs, held by a copy of the tuner: many are under way in one process."""
        holder = copy.copy(self._runner)
        holder._begin_attempt(spec)
        return Attempt(spec, holder, report)

    def prepare(self, attempt: Attempt) -> None:
        """Builds the models of an attempt, and gives it its runs.

        Raises:
            Unfusable: A run has no place in a stack.
        """
        for plan in attempt.runner.run_plans():
            attempt.runs.append(self._run(attempt, plan))

    def _run(self, attempt: Attempt, plan: Any) -> Run:
        args, kwargs = self._fit_data.of(plan, attempt.spec.trial.data_share)
        put_off: list[Any] = []

        @contextlib.contextmanager
        def building() -> Iterator[None]:
            with variables_later() as later:
                yield
            put_off.extend(later)

        model, monitor, arguments = self._build(attempt, plan, args, kwargs, building)
        build_inputs(model, arguments["x"])
        try:
            check_run(model, arguments)
            start = _start(_left_by_stack(attempt.spec, monitor.run), model)
            group = self._group(model, arguments, plan)
        except (Unfusable, KTSuiteError):
            raise
        except Exception as error:  # ours, not the trial's: it trains as if there were no stacks
            raise Unfusable([f"its model cannot be read ({type(error).__name__}: {error})"]) from error
        monitor._keeps_weights = False  # the keeper remembers them, where they may be needed
        rows = self._fit_data.rows(plan, attempt.spec.trial.data_share)
        member = Member(model, monitor.seed, rows, plan.validation_rows, arguments.get("class_weight"), start)
        return Run(attempt, model, monitor, arguments, member, group, put_off)

    def _build(
        self, attempt: Attempt, plan: Any, args: Any, kwargs: dict[str, Any], building: Callable[[], Any]
    ) -> tuple[Any, Any, dict[str, Any]]:
        runner = attempt.runner
        num_monitors = len(runner._monitors)
        if self._is_lazy:
            try:
                prepared = _prepare(runner, plan, args, kwargs, building)
            except Unfusable:
                raise
            except Exception:  # a build that needs its variables, or one that fails anyway: as ever, then
                del runner._monitors[num_monitors:]
            else:
                return prepared
        prepared = _prepare(runner, plan, args, kwargs, contextlib.nullcontext)
        self._is_lazy = False
        return prepared

    def _group(self, model: Any, arguments: dict[str, Any], plan: Any) -> tuple[Any, Data, Options]:
        data = self._fit_data.data(arguments, plan)
        options = self._fit_data.options(arguments, plan, self._shuffle)
        same = dataclasses.astuple(options)
        is_weighted = arguments.get("class_weight") is not None
        return (skeleton(model), id(data), same, is_weighted), data, options


def _prepare(
    holder: Any, plan: Any, args: Any, kwargs: dict[str, Any], building: Callable[[], Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Does all of a run but the training; returns the model, the monitor, and the arguments of ``model.fit``."""
    spec, kwargs = holder._spec, dict(kwargs)
    trial, callbacks = spec.trial, kwargs.pop("callbacks", None)
    monitor = holder._begin_run(trial, plan, kwargs)
    fresh_keras(monitor.seed, collects=False)
    own = holder._callbacks_of_run(trial, plan.index, callbacks)
    with building():
        model = holder._try_build(trial.hyperparameters)
    if not isinstance(model, keras.Model):
        raise Unfusable([f"build returns a {type(model).__name__}, which is no Keras model"])
    holder._was_built = model.built
    if spec.parent_directory is not None and _left_by_stack(spec, monitor.run) is None:
        holder._go_on_from(spec.parent_directory, model)
    options = holder._fit_options(trial, {**kwargs, "callbacks": [*own, monitor]})
    options = prepare_fit(holder.hypermodel, trial.hyperparameters, model, *args, **options)
    bound = inspect.signature(keras.Model.fit).bind(model, *args, **options)
    bound.apply_defaults()
    return model, monitor, {name: value for name, value in bound.arguments.items() if name != "self"}


def _left_by_stack(spec: TrialSpec, run: int) -> Path | None:
    """Returns the file of the state that a stack has left of the run's first epochs, if any."""
    path = None if spec.parent_directory is None else fused_state_path(spec.parent_directory, run)
    return path if path is not None and path.exists() else None


def _start(path: Path | None, model: Any) -> Snapshot | None:
    """Returns the state in a file that a stack has left, and has the model take its learning rate."""
    if path is None:
        return None
    start = Snapshot.read(path, view_of(model))
    if start.rate is not None:
        model.optimizer.learning_rate = start.rate
    return start


def build_inputs(model: Any, x: Any) -> None:
    """Builds a model whose inputs are known from the data alone, as ``fit`` would at its first batch."""
    shape = None if model.built else input_shape(x)
    if shape is not None and isinstance(model, keras.Sequential):
        model.build((None, *shape[1:]))
