"""What tuned classifiers and regressors share: a search in ``fit``, and its results as scikit-learn names them."""

from __future__ import annotations

import abc
import copy
import importlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kt_suite import tuners
from kt_suite.errors import InputError, near, rule
from kt_suite.rows import digest
from kt_suite.seeds import fresh_seed
from kt_suite.sklearn.cv_results import cv_results
from kt_suite.sklearn.saved_model import SavedModel, revived

TUNERS = {
    "random": "RandomSearch",
    "grid": "GridSearch",
    "bayesian": "BayesianOptimization",
    "hyperband": "Hyperband",
    "quasi-random": "QuasiRandomSearch",
    "tpe": "TPESearch",
}
# The framework does not depend on its ready models: this one is found by name, as on the command line.
_READY_MODEL = ("kt_suite.models", "MLP")


class TunedEstimator(BaseEstimator, abc.ABC):  # type: ignore[misc]
    """Searches in :meth:`fit`, and predicts with the best model. Base of classifier and regressor."""

    _default_scoring: ClassVar[str]

    def __init__(
        self,
        model: Any = None,
        *,
        tuner: Any = "random",
        max_trials: int | None = 10,
        epochs: int = 20,
        scoring: Any = None,
        cv: Any = 5,
        refit: bool | str = True,
        executor: Any = "auto",
        tuner_options: Mapping[str, Any] | None = None,
        fit_options: Mapping[str, Any] | None = None,
        directory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.tuner = tuner
        self.max_trials = max_trials
        self.epochs = epochs
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.executor = executor
        self.tuner_options = tuner_options
        self.fit_options = fit_options
        self.directory = directory
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    def _search(self, x: np.ndarray, y: np.ndarray, sample_weight: Any, groups: Any) -> None:
        """Runs the search on checked data, and keeps what came of it."""
        if self.refit not in (True, False, "retrain", "ensemble"):
            raise InputError(rule("refit", 'be True, False, "retrain" or "ensemble"', self.refit))
        seed = self._seed()
        with tempfile.TemporaryDirectory() as temporary:
            place = temporary if self.directory is None else self.directory
            tuner = self._make_tuner(seed, place, f"{type(self).__name__}-{digest(x, y)[:12]}")
            options = dict(self.fit_options or {})
            if not tuner._tunes_estimators and not isinstance(tuner, tuners.Hyperband):
                options = {"epochs": self.epochs, **options}
            if sample_weight is not None:
                options["sample_weight"] = _check_sample_weight(sample_weight, x, dtype=np.float32)
            tuner.search(x, y, groups=groups, verbose=self.verbose, **options)
            self._keep(tuner)

    def _make_tuner(self, seed: int, directory: Any, name: str) -> Any:
        kind = self._tuner_class()
        lengths = {"max_trials": self.max_trials}
        if issubclass(kind, tuners.Hyperband):
            lengths = {"max_epochs": self.epochs}
        model = copy.deepcopy(self.model)
        if model is None:
            module, ready = _READY_MODEL
            model = getattr(importlib.import_module(module), ready)()
        options = {"tensorboard": None, **lengths, **(self.tuner_options or {})}
        return kind(
            model,
            objective=self.scoring or self._default_scoring,
            cross_validation=self._splitter(seed),
            executor=self.executor,
            seed=seed,
            directory=directory,
            project_name=name,
            **options,
        )

    def _tuner_class(self) -> Any:
        if isinstance(self.tuner, type) and issubclass(self.tuner, tuners.Tuner):
            return self.tuner
        if self.tuner not in TUNERS:
            remedy = near(str(self.tuner), TUNERS)
            raise InputError(rule("tuner", f"be a tuner's class, or one of {list(TUNERS)}", self.tuner, remedy))
        return getattr(tuners, TUNERS[self.tuner])

    def _splitter(self, seed: int) -> Any:
        if not isinstance(self.cv, float):
            return self.cv
        if not 0 < self.cv < 1:
            raise InputError(rule("cv as a share of the samples", "lie between 0 and 1", self.cv))
        return self._hold_out(self.cv, seed)

    @abc.abstractmethod
    def _hold_out(self, share: float, seed: int) -> Any:
        """Returns a splitter of one fold that validates on ``share`` of the samples."""

    def _seed(self) -> int:
        if self.random_state is None:
            return fresh_seed()
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(self.random_state.randint(2**31 - 1))  # a RandomState, as in every estimator of scikit-learn

    def _keep(self, tuner: Any) -> None:
        records = tuner._records()
        best = tuner.oracle.get_best_trials(1)
        if not best:
            raise InputError(rule("The search", "have a trial that ended with a score", records))
        self.objective_ = tuner.oracle.objective.name
        self.cv_results_ = cv_results(records, tuner.oracle.objective.direction)
        self.best_index_ = [record.trial_id for record in records].index(best[0].trial_id)
        self.best_params_ = dict(best[0].record.values)
        self.best_score_ = float(best[0].score)
        self.n_splits_ = len({run.fold for run in best[0].record.runs})
        if self.directory is not None:
            self.search_directory_ = str(Path(tuner.project_dir))
        if self.refit is False:
            return
        began = time.monotonic()
        self.best_estimator_ = tuner.get_best_models(1, refit="retrain" if self.refit is True else self.refit)[0]
        self.refit_time_ = time.monotonic() - began

    # Predicting

    def _checked(self, x: Any) -> np.ndarray:
        check_is_fitted(self)
        if not hasattr(self, "best_estimator_"):
            remedy = "Fit it with refit=True."
            raise InputError(rule(f"{type(self).__name__}.refit", "be true to predict", self.refit, remedy))
        return np.asarray(validate_data(self, x, reset=False, allow_nd=True, dtype="numeric"))

    # Copies and files

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "best_estimator_" in state:
            state["best_estimator_"] = SavedModel.of(state["best_estimator_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "best_estimator_" in state:
            state["best_estimator_"] = revived(state["best_estimator_"])
        super().__setstate__(state)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cv_results_")
