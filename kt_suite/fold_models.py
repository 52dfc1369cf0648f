"""The models of a cross-validated search: those of the folds, their ensemble, and one that is retrained on all data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kt_suite.checks import inputs_of
from kt_suite.ensemble import ensemble
from kt_suite.errors import InputError, ProjectError, rule
from kt_suite.executors.training import accepts, copy_callbacks, fresh_keras, run_checkpoint, save_weights
from kt_suite.hypermodel import fit_options
from kt_suite.oracles.trial import Trial
from kt_suite.runner import TrialRunner
from kt_suite.runs import RunPlan, fit_arguments
from kt_suite.seeds import generators_kept, trial_seed

_REFITS = ("retrain", "ensemble")


class FoldModels(TrialRunner):
    """The part of a tuner that gives models.

    Keras models come from the weights that were kept. Estimators of scikit-learn leave no files, as only pickle could
    write them: they are fitted again from their trial's values and seed, to the same, on the data of the last search.
    """

    def cross_val_models(self, trial: Any) -> list[Any]:
        """Returns the models of a trial's runs, by task and fold, each with the weights of its scored epoch.

        Args:
            trial: A trial, or its id. Only the best trials keep their weights: as many as ``keep_checkpoints`` says.

        Raises:
            InputError: There was no cross-validation, or there is no such trial.
            ProjectError: The weights were not kept.
        """
        trial = self._trial(trial)
        self._check_cross_validated("cross_val_models()")
        if self._tunes_estimators:
            return [self._fitted(trial, plan) for plan in self.run_plans()]
        return [self._load(trial, run_checkpoint(run.index)) for run in trial.record.runs]

    def get_best_models(self, num_models: int = 1, refit: str | None = None) -> list[Any]:
        """Returns the models of the best trials, best first, ready to predict.

        Args:
            num_models: Number of trials.
            refit: What stands for a cross-validated trial. ``"retrain"`` (also what ``None`` stands for) is one model,
                trained now on all samples for as many epochs as the folds needed to their scored epochs on average,
                without the callbacks that monitor validation; its weights are kept, so that it is trained once.
                ``"ensemble"`` is the models of the folds, whose outputs are averaged: nothing is trained.

        Raises:
            InputError: ``refit`` is neither, or there was no cross-validation; or a model would be one of many tasks'.
            ProjectError: The weights were not kept, or the samples to train on are not known.
        """
        if refit is not None and refit not in _REFITS:
            raise InputError(rule("refit", f"be one of {list(_REFITS)}", refit))
        if refit is not None:
            self._check_cross_validated("refit")
        if self._planner.tasks:
            remedy = "Take cross_val_models(trial), or build one with get_best_hyperparameters()."
            raise InputError(rule("A search over tasks", "be asked for the models of a trial's runs", refit, remedy))
        trials = self.oracle.get_best_trials(num_models)
        if refit == "ensemble":
            return [self._ensemble(self.cross_val_models(trial)) for trial in trials]
        return [self.load_model(trial) for trial in trials]

    def load_model(self, trial: Any) -> Any:
        """Returns the model of a trial with the weights of its scored epoch; of a cross-validated one, retrained on
        all samples.

        Raises:
            ProjectError: The weights were not kept, or the samples to train on are not known.
        """
        if self._tunes_estimators:
            return self._fitted(trial)
        path = Path(self._get_checkpoint_fname(trial.trial_id))
        if path.exists() or self._planner.cross_validation is None:
            return self._load(trial, path.name)
        with generators_kept():
            model = self._retrain(trial)
        if self.keep_checkpoints != 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(model, None, path.parent)
        return model

    def _load(self, trial: Any, name: str) -> Any:
        path = Path(self._get_checkpoint_fname(trial.trial_id)).with_name(name)
        if not path.exists():
            remedy = f"Only the best {self.keep_checkpoints} trials keep theirs: raise keep_checkpoints."
            raise ProjectError(rule(f"The weights of trial {trial.trial_id}", "be on disk", str(path), remedy))
        with generators_kept():
            model = self._try_build(trial.hyperparameters)
        self._load_weights(model, path)
        return model

    def _fitted(self, trial: Any, plan: RunPlan | None = None) -> Any:
        # Estimators leave no files: what pickle would write, nobody should read. Values and seed give the same again.
        from kt_suite.estimators import fit

        self._check_has_data()
        seed = trial.seed if plan is None else trial_seed(trial.seed, plan.index)
        args, kwargs = self._fit_args, self._fit_kwargs
        if plan is not None:
            args, kwargs = fit_arguments(plan, args, kwargs)
        with generators_kept():
            fresh_keras(seed)
            estimator = self._try_build(trial.hyperparameters)
            fit(estimator, *inputs_of(args, kwargs), kwargs.get("sample_weight"))
        return estimator

    def _ensemble(self, models: list[Any]) -> Any:
        if not self._tunes_estimators:
            return ensemble(models)
        from kt_suite.estimators import MeanOfEstimators

        return MeanOfEstimators(models)

    def _check_has_data(self) -> None:
        if not hasattr(self, "_fit_args"):
            remedy = "Call search() with the data first; the models of folds of Keras need none."
            raise ProjectError(rule("A model to be trained again", "get the data of the search", None, remedy))

    def _retrain(self, trial: Any) -> Any:
        self._check_has_data()
        hp = trial.hyperparameters
        fresh_keras(trial.seed)
        model = self._try_build(hp)
        was_built = model.built
        kwargs = {**fit_options(self.hypermodel, hp), **self._fit_kwargs}
        callbacks = copy_callbacks(kwargs.pop("callbacks", None))
        kwargs["callbacks"] = [one for one in callbacks if not str(getattr(one, "monitor", "")).startswith("val_")]
        if (epochs := epochs_to_retrain(trial)) is not None:
            kwargs["epochs"] = epochs
        if accepts(self.hypermodel.fit, "verbose"):
            kwargs.setdefault("verbose", 0)
        self.hypermodel.fit(hp, model, *self._fit_args, **kwargs)
        if not was_built and self.keep_checkpoints != 0:
            self._write_build_config(model, Path(self._get_checkpoint_fname(trial.trial_id)).parent)
        return model

    def _trial(self, trial: Any) -> Trial:
        trial_id = trial if isinstance(trial, str) else getattr(trial, "trial_id", None)
        if trial_id not in self.oracle.trials:
            raise InputError(rule("trial", "be a trial of this search, or its id", trial))
        found: Trial = self.oracle.trials[trial_id]
        return found

    def _check_cross_validated(self, what: str) -> None:
        if not any(plan.rows is not None or plan.task is not None for plan in self.run_plans()):
            raise InputError(rule(what, "be asked of a search with cross_validation or tasks", None))


def epochs_to_retrain(trial: Any) -> int | None:
    """Returns the epochs up to the scored one, on average over a trial's runs; ``None`` if unknown."""
    epochs = [run.best_epoch + 1 for run in trial.record.runs if run.best_epoch is not None]
    return max(1, round(sum(epochs) / len(epochs))) if epochs else None
