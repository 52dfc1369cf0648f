"""A tuned classifier."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from kt_suite.errors import InputError, rule
from kt_suite.predictions import ClassPredictions
from kt_suite.sklearn.tuned import TunedEstimator


class TunedClassifier(ClassifierMixin, TunedEstimator):  # type: ignore[misc]
    """A classifier of scikit-learn that searches, in ``fit``, for the values with which a hypermodel does best.

    It is to a hypermodel what ``GridSearchCV`` is to an estimator, and stands wherever scikit-learn takes an
    estimator: in a ``Pipeline``, in ``cross_val_score`` (nested cross-validation), under ``clone``. It pickles: the
    model by Keras' own file format. Layers of your own then need ``keras.saving.register_keras_serializable``.

    Args:
        model: A ``HyperModel``, or a function ``build(hp)`` that returns a compiled Keras model or an estimator of
            scikit-learn; ``None`` for ``kt_suite.models.MLP``. Classes arrive as 0, 1, ..., k - 1. ``fit`` works on a
            copy.
        tuner: ``"random"``, ``"grid"``, ``"bayesian"``, ``"hyperband"``, ``"quasi-random"``, ``"tpe"``, or a tuner's
            class.
        max_trials: Trials at most; without meaning for Hyperband.
        epochs: Epochs of each run; the most that Hyperband grants.
        scoring: What ranks trials: an objective of a tuner, such as ``"val_f1_macro"`` or a scorer of scikit-learn;
            the accuracy if ``None``, with which Keras models are to be compiled then.
        cv: Folds of each trial: a number, a splitter, or the share of samples that is held out once.
        refit: Whether ``best_estimator_`` is made: ``True`` or ``"retrain"`` trains the best values on all samples,
            ``"ensemble"`` takes the mean of the models of the folds.
        executor: As for a tuner.
        tuner_options: Further arguments of the tuner, such as ``{"pruner": "median", "time_budget": 600}``.
        fit_options: Further arguments of ``search``, such as ``callbacks`` and ``batch_size``.
        directory: Where the search is kept, under a name that follows from the data, and resumed by the next ``fit``
            on the same data with the same ``random_state``; ``None`` keeps nothing.
        random_state: Seed of the search, its splits and its trainings: an integer, a ``RandomState``, or ``None``.
        verbose: As in ``search``.

    Attributes:
        classes_: The classes, ascending.
        best_estimator_: The Keras model (or estimator) that predicts.
        best_params_: Its hyperparameters.
        best_score_: Its score, the mean over folds.
        best_index_: Its place in ``cv_results_``.
        cv_results_: The trials, as of ``GridSearchCV``; ``pandas.DataFrame(estimator.cv_results_)`` works.
        objective_: Name of the objective.
        n_splits_: Number of folds.
        n_features_in_: Number of columns.
        refit_time_: Seconds that making ``best_estimator_`` took.
        search_directory_: Where the search lies; only with ``directory``.

    Raises:
        kt_suite.errors.InputError: An argument, or data, that cannot be used.

    Example:
        >>> from kt_suite.sklearn import TunedClassifier
        >>> estimator = TunedClassifier(max_trials=20, epochs=30, random_state=0)
        >>> estimator.get_params()["cv"]
        5
    """

    _default_scoring = "val_accuracy"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> TunedClassifier:
        """Searches, and makes the best model.

        Args:
            X: Inputs, shape ``(n, ...)``.
            y: Classes of any type, shape ``(n,)``.
            sample_weight: Weights of the samples, shape ``(n,)``.
            groups: Group of each sample, for splitters that keep groups together.
        """
        X, y = validate_data(self, X, y, allow_nd=True, dtype="numeric")
        check_classification_targets(y)
        self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            remedy = "Give samples of at least two classes."
            raise InputError(rule("y", "hold at least two classes", f"one class ({self.classes_[0]!r})", remedy))
        self._search(X, codes, sample_weight, groups)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Returns the probability of each class, shape ``(n, k)``, in the order of ``classes_``."""
        x = self._checked(X)
        model = self.best_estimator_
        if not isinstance(model, keras.Model):
            return np.asarray(model.predict_proba(x))
        return ClassPredictions(model, x, np.arange(len(self.classes_))).predict_proba(x)

    def predict(self, X: Any) -> np.ndarray:
        """Returns the most probable class of each sample, shape ``(n,)``."""
        x = self._checked(X)
        model = self.best_estimator_
        if not isinstance(model, keras.Model):
            return np.asarray(self.classes_[model.predict(x)])
        return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])

    def _hold_out(self, share: float, seed: int) -> Any:
        return StratifiedShuffleSplit(1, test_size=share, random_state=seed % 2**32)
