"""How a tuner trains one attempt of a trial with Keras."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.src.engine.tuner import maybe_distribute

from kt_suite.distribution.distribution import Distribution
from kt_suite.errors import InputError, rule
from kt_suite.executors.base import TrialSpec
from kt_suite.executors.resumption import (
    RunProgress,
    history_of,
    load_progress,
    restore_model,
    restore_monitor,
    save_progress,
)
from kt_suite.executors.subset import cut_fit_arguments
from kt_suite.executors.training import (
    BUILD_CONFIG,
    CHECKPOINT,
    RunMonitor,
    TunerHooks,
    accepts,
    copy_callbacks,
    fresh_keras,
    load_state,
    load_weights,
    run_checkpoint,
    save_state,
    save_weights,
    state_path,
)
from kt_suite.hypermodel import fit_options, is_estimator, overrides_fit
from kt_suite.objective import DefaultObjective, scalars, score_result, to_loss
from kt_suite.oracles.books import OracleView
from kt_suite.oracles.trial import Trial
from kt_suite.planning import RunPlanner
from kt_suite.runs import RunPlan, fit_arguments
from kt_suite.scoring import scorers_for, with_scoring
from kt_suite.search import attempt_directory
from kt_suite.seeds import trial_seed
from kt_suite.trial import Decision, Report, RunRecord

HOOKS = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")


_NOT_SHIPPED = ("executor", "pruner", "_storage", "_limits", "_call", "_sample_model", "_report", "_should_stop")
_DRIVERS_HOOKS = ("pre_create_trial", "on_trial_begin", "on_trial_end", "on_search_begin", "on_search_end")


class TrialRunner(keras_tuner.Tuner):  # type: ignore[misc]
    """The part of a tuner that trains. Its methods are KerasTuner's, and may be overridden as there.

    Attributes:
        oracle, hypermodel, executions_per_trial, max_model_size, optimizer, loss, metrics: As in KerasTuner.
        distribution: How a trial is spread over devices and machines.
        score: ``"best"`` or ``"last"``: the epoch of a run that counts.
        keep_checkpoints: Best trials whose weights stay on disk, or ``"all"``.
    """

    score: str
    keep_checkpoints: int | str
    _checkpoint_interval: float | None = None
    _tunes_estimators = False
    _predicts_classes: bool | None = None
    _scorers: Mapping[str, Any] = {}
    _metric_functions: Sequence[Any] = ()
    racing: Any = None
    _planner: RunPlanner
    distribution: Distribution

    @property
    def distribution_strategy(self) -> Any:
        """The strategy in whose scope models are built now; KerasTuner's name for it."""
        return self.distribution.current

    def for_worker(self) -> Any:
        """Returns a copy that trains in another process: with the hypermodel and the settings, without the search."""
        shipped = copy.copy(self)
        shipped.oracle = OracleView(self.oracle)
        for name in (*_NOT_SHIPPED, *_DRIVERS_HOOKS):
            shipped.__dict__.pop(name, None)
        return shipped

    def _begin_attempts(self, report: Any, should_stop: Any = None) -> None:
        self._report = report
        self._should_stop = should_stop

    def _run_attempt(self, spec: TrialSpec) -> tuple[list[RunRecord], bool]:
        """Trains an attempt; returns its runs, and whether a decision cut it short."""
        trial = spec.trial
        self._begin_attempt(spec)
        if self._overrides("run_trial"):
            fresh_keras(trial.seed)
        with self.distribution.trial():
            result = self.run_trial(trial, *self._fit_args, **dict(self._fit_kwargs))
        if result is None and trial.metrics.exists(self.oracle.objective.name):
            return [self._self_reported(trial)], False
        return self._end_attempt(trial, result)

    def _begin_attempt(self, spec: TrialSpec) -> None:
        self._spec = spec
        self._monitors: list[Any] = []
        self._is_cut_short = False
        self._progress: RunProgress | None = None
        self._kept_at = time.monotonic()
        self._best_run_loss, self._was_built = float("inf"), True

    def _end_attempt(self, trial: Trial, result: Any) -> tuple[list[RunRecord], bool]:
        """Returns the runs that a result of ``run_trial`` tells of, and whether a decision cut it short."""
        source = "Tuner.run_trial()" if self._overrides("run_trial") else "HyperModel.fit()"
        scored = score_result(self.oracle.objective, result, self.score, source)
        monitors = self._monitors if len(self._monitors) == len(scored) else [None] * len(scored)
        runs = []
        for index, (one, monitor) in enumerate(zip(scored, monitors, strict=True)):
            run = RunRecord(index, trial.seed, one.score, one.epoch, one.metrics, repeat=index)
            if monitor is not None:
                run.fold, run.task, run.repeat = monitor.plan.fold, monitor.plan.task, monitor.plan.repeat
                run.seed, run.seconds = monitor.seed, monitor.seconds
                if monitor.best_epoch is not None and one.epochs:  # a History may lack epochs: validation_freq
                    run.best_epoch, run.metrics = monitor.best_epoch, monitor.curve[monitor.best_epoch]
                run.best_epoch = (run.best_epoch or 0) + monitor.first_epoch
            runs.append(run)
        return runs, self._is_cut_short or any(monitor.is_pruned for monitor in self._monitors)

    def _self_reported(self, trial: Trial) -> RunRecord:
        # A run_trial of old that called oracle.update_trial itself, and returned nothing.
        name = self.oracle.objective.name
        best, step = trial.metrics.get_best_value(name), trial.metrics.get_best_step(name)
        return RunRecord(0, trial.seed, float(best), int(step or 0), {name: float(best)})

    def _overrides(self, method: str) -> bool:
        mine, known = getattr(type(self), method), (getattr(TrialRunner, method), getattr(keras_tuner.Tuner, method))
        return mine not in known

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the values of a trial: builds and trains ``executions_per_trial`` models.

        Override it to tune anything.

        Args:
            trial: The trial; ``trial.hyperparameters`` has the values.
            *args: As given to ``search``.
            **kwargs: As given to ``search``.

        Returns:
            A History, a float (the objective), a dict of metrics, or a list of these, one for each run.
        """
        callbacks = kwargs.pop("callbacks", None)
        results: list[Any] = []
        for plan in self.run_plans():
            results.append(self._train_run(trial, plan, callbacks, args, kwargs))
            if self._monitors[-1].is_pruned or self._has_lost(trial, plan, results[-1]):
                break
        return results

    def report_epoch(self, trial: Trial, epoch: int, metrics: Mapping[str, float], run: int = 0) -> bool:
        """Reports one epoch of a training loop of one's own, from inside an overridden ``run_trial``.

        Args:
            trial: The trial.
            epoch: The epoch, from 0.
            metrics: Metric name to value.
            run: Index of the run, from 0.

        Returns:
            Whether to go on; if not, return what there is: the trial counts as pruned.
        """
        report = Report(run, epoch, scalars(metrics), time=time.time(), attempt=self._spec.attempt)
        goes_on: bool = self._report(trial.trial_id, report) is Decision.CONTINUE
        self._is_cut_short |= not goes_on
        return goes_on

    def _has_lost(self, trial: Trial, plan: RunPlan, result: Any) -> bool:
        """Reports that a run has ended where folds are raced; returns whether the trial ends with it."""
        if self.racing is None or plan.index + 1 == len(self.run_plans()):
            return False
        score = score_result(self.oracle.objective, result, self.score, "HyperModel.fit()")[0].score
        report = Report(plan.index, 0, {"score": score}, time=time.time(), attempt=self._spec.attempt, is_end=True)
        self._is_cut_short |= self._report(trial.trial_id, report) is not Decision.CONTINUE
        return self._is_cut_short

    def run_plans(self) -> Sequence[RunPlan]:
        """Returns the runs that each trial is made of."""
        return self._planner.plans

    def _train_run(self, trial: Trial, plan: RunPlan, callbacks: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        monitor = self._begin_run(trial, plan, kwargs)
        fresh_keras(monitor.seed)
        own = self._callbacks_of_run(trial, plan.index, callbacks)
        args, kwargs = fit_arguments(plan, args, kwargs)
        args, kwargs, scoring = with_scoring(scorers_for(self.oracle.objective), args, kwargs)
        if trial.data_share < 1:
            args, kwargs = cut_fit_arguments(args, kwargs, trial.data_share, self.oracle.seed)
        self._progress = load_progress(self._spec.directory, plan.index)
        if self._progress is not None:
            restore_monitor(monitor, self._progress, self._spec.directory)
        began = time.monotonic()
        result = self._build_and_fit_model(trial, *args, **{**kwargs, "callbacks": [*scoring, *own, monitor]})
        monitor.seconds = time.monotonic() - began
        if self._progress is not None:
            result = history_of(monitor)
        if isinstance(result, dict) and monitor.model is None:
            return result  # an estimator's scores; it is fitted again when it is asked for
        self._keep_build_config(self._model)
        if self._spec.keeps_state:
            save_state(self._model, state_path(self._spec.directory, plan.index))
        self._keep_weights(monitor, result)
        return result

    def _begin_run(self, trial: Trial, plan: RunPlan, kwargs: Mapping[str, Any]) -> Any:
        monitor = self._monitor(trial, plan.index, kwargs.get("validation_freq", 1) == 1)
        monitor.plan, monitor.seed = plan, trial_seed(trial.seed, plan.index)
        self._monitors.append(monitor)
        return monitor

    def _callbacks_of_run(self, trial: Trial, run: int, callbacks: Any) -> list[Any]:
        own = copy_callbacks(callbacks)
        self._configure_tensorboard_dir(own, trial, run)
        if any(self._overrides(hook) for hook in HOOKS):
            own.append(TunerHooks(self, trial))
        return own

    def _keep_build_config(self, model: Any) -> None:
        if not self._was_built:
            self._write_build_config(model, self._spec.directory)

    def _go_on_from(self, directory: str, model: Any) -> None:
        run = self._monitors[-1].run
        with maybe_distribute(self.distribution_strategy):
            if not model.built:
                model.build_from_config(json.loads(Path(directory, BUILD_CONFIG).read_text(encoding="utf-8")))
            load_state(model, directory, run)

    def _monitor(self, trial: Trial, run: int, validates_each_epoch: bool) -> Any:
        objective = self.oracle.objective
        is_plain = not (overrides_fit(self.hypermodel) or self._overrides("run_trial"))
        return RunMonitor(
            objective,
            self.score,
            self._report_of(trial),
            run=run,
            attempt=self._spec.attempt,
            requires_objective=is_plain and validates_each_epoch and not isinstance(objective, DefaultObjective),
            keeps_weights=self.keep_checkpoints != 0,
            should_stop=self._should_stop,
            keep=self._keep_progress if is_plain and self._may_keep_progress() else None,
        )

    def _may_keep_progress(self) -> bool:
        return self._checkpoint_interval is not None and not self._overrides("_build_and_fit_model")

    def _keep_progress(self, monitor: RunMonitor) -> None:
        if time.monotonic() - self._kept_at >= (self._checkpoint_interval or 0):
            save_progress(self._spec.directory, monitor, was_built=self._was_built)
            self._kept_at = time.monotonic()

    def _report_of(self, trial: Trial) -> Any:
        def report(one: Report) -> Decision:
            decision: Decision = self._report(trial.trial_id, one)
            return decision

        return report

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Builds and trains one model; returns what training returned. Kept apart for AutoKeras, which overrides it."""
        model = self._try_build(trial.hyperparameters)
        if is_estimator(model):
            return self._fit_estimator(model, args, kwargs)
        self._was_built = model.built
        if self._progress is not None:
            restore_model(model, self._progress, self._spec.directory)
        elif self._spec.parent_directory is not None:
            self._go_on_from(self._spec.parent_directory, model)
        return self.hypermodel.fit(trial.hyperparameters, model, *args, **self._fit_options(trial, kwargs))

    def _fit_estimator(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, float]:
        from kt_suite.estimators import fit_and_score

        objective, metrics = self.oracle.objective, self._metric_functions
        scores = fit_and_score(model, objective, args, kwargs, scorers=self._scorers, metrics=metrics)
        self._monitors[-1].report_at_once(scores)
        return scores

    def _fit_options(self, trial: Trial, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments of ``HyperModel.fit``: what is tuned, what was given, and the budget of the trial."""
        options = fit_options(self.hypermodel, trial.hyperparameters)
        if accepts(self.hypermodel.fit, "verbose"):
            kwargs.setdefault("verbose", 0)
        if trial.budget is not None:
            options.pop("epochs", None)
            kwargs["epochs"] = trial.budget
        if self._spec.parent_directory is not None:
            kwargs["initial_epoch"] = trial.initial_epoch
        if self._progress is not None:
            kwargs["initial_epoch"] = self._progress.next_epoch
            if self._progress.is_over or self._monitors[-1].is_pruned:
                kwargs["epochs"] = self._progress.next_epoch
        return {**options, **kwargs}

    def _override_compile_args(self, model: Any) -> None:
        # KerasTuner's would read the optimizer and loss of a model that was not compiled, or is none.
        if not isinstance(model, keras.Model) or not (self.optimizer or self.loss or self.metrics):
            return
        if model.compiled:
            super()._override_compile_args(model)
            return
        optimizer = self.optimizer
        if not isinstance(optimizer, str) and optimizer is not None:
            optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        model.compile(optimizer=optimizer or "rmsprop", loss=self.loss, metrics=self.metrics)

    def _try_build(self, hp: Any) -> Any:
        """Builds a model in the scope of the distribution, and checks it."""
        model = self._build_hypermodel(hp)
        if not isinstance(model, keras.Model) and not is_estimator(model):
            raise keras_tuner.errors.FatalTypeError(rule("build", "return a keras.Model or an estimator", model))
        if is_estimator(model):
            return model
        if self.max_model_size and model.built and model.count_params() > self.max_model_size:
            size = rule(
                "The number of parameters", f"be at most max_model_size={self.max_model_size}", model.count_params()
            )
            raise keras_tuner.errors.FailedTrialError(size)
        self.distribution.prepare(model)
        self._model = model
        return model

    def _keep_weights(self, monitor: Any, result: Any) -> None:
        if self.keep_checkpoints == 0:
            return
        model = self._model if monitor.model is None else monitor.model
        if monitor.plan.rows is not None or monitor.plan.task is not None:
            save_weights(model, monitor.weights, self._spec.directory, run_checkpoint(monitor.run))
            return
        scored = score_result(self.oracle.objective, result, self.score, "HyperModel.fit()")
        loss = to_loss(min(scored, key=lambda one: to_loss(one.score, self._direction)).score, self._direction)
        if not loss < self._best_run_loss:
            return
        self._best_run_loss = loss
        save_weights(model, monitor.weights, self._spec.directory)

    @property
    def _direction(self) -> str:
        return str(self.oracle.objective.direction)

    def _configure_tensorboard_dir(self, callbacks: Any, trial: Trial, execution: int = 0) -> None:
        # The user's own TensorBoard callbacks: a run of their own for each run, in KerasTuner's place.
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.TensorBoard):
                callback.log_dir = self._get_tensorboard_dir(callback.log_dir, trial.trial_id, execution)

    # What came of it

    def _get_checkpoint_fname(self, trial_id: str) -> str:
        attempt = self.oracle.trials[trial_id].record.attempt
        return str(attempt_directory(Path(self.project_dir), trial_id, attempt) / CHECKPOINT)

    def _load_weights(self, model: Any, path: Path) -> None:
        config = path.with_name(BUILD_CONFIG)
        with maybe_distribute(self.distribution_strategy):
            if not model.built and config.exists():
                model.build_from_config(json.loads(config.read_text(encoding="utf-8")))
            load_weights(model, path)
            if model.optimizer is not None:  # unbuilt, it would make every load of the saved model warn
                model.optimizer.build(model.trainable_variables)

    def _write_build_config(self, model: Any, directory: str | Path) -> None:
        config = json.dumps(model.get_build_config())
        Path(directory, BUILD_CONFIG).write_text(config, encoding="utf-8")

    def check_fit_options(self, fit_kwargs: dict[str, Any]) -> set[str]:
        """Raises ``InputError`` for an argument that both ``search`` and ``fit_options`` give; returns those of the
        latter.
        """
        if self.hypermodel is None or self._overrides("run_trial"):
            return set()
        hp = self.oracle.get_space()
        tuned = fit_options(self.hypermodel, hp)
        self.oracle.update_space(hp)
        for name in sorted(set(tuned) & set(fit_kwargs)):
            remedy = f"{type(self.hypermodel).__name__}.fit_options decides it: drop it here, or fix it there."
            raise InputError(rule(f"{name} of search()", "not be given", fit_kwargs[name], remedy))
        return set(tuned)
