"""A tuned regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.model_selection import ShuffleSplit
from sklearn.utils.validation import validate_data

from kt_suite.errors import InputError, rule
from kt_suite.sklearn.tuned import TunedEstimator


class TunedRegressor(RegressorMixin, TunedEstimator):  # type: ignore[misc]
    """A regressor of scikit-learn that searches, in ``fit``, for the values with which a hypermodel does best.

    Everything is as with ``TunedClassifier``, but for targets that are numbers.

    Args:
        model: A ``HyperModel``, or a function ``build(hp)`` that returns a compiled Keras model or an estimator of
            scikit-learn; ``None`` for ``kt_suite.models.MLP``. ``fit`` works on a copy.
        tuner: ``"random"``, ``"grid"``, ``"bayesian"``, ``"hyperband"``, ``"quasi-random"``, ``"tpe"``, or a tuner's
            class.
        max_trials: Trials at most; without meaning for Hyperband.
        epochs: Epochs of each run; the most that Hyperband grants.
        scoring: What ranks trials: an objective of a tuner, such as ``"val_loss"`` or a scorer of scikit-learn; the
            coefficient of determination if ``None``.
        cv: Folds of each trial: a number, a splitter, or the share of samples that is held out once.
        refit: Whether ``best_estimator_`` is made: ``True`` or ``"retrain"`` trains the best values on all samples,
            ``"ensemble"`` takes the mean of the models of the folds.
        executor: As for a tuner.
        tuner_options: Further arguments of the tuner.
        fit_options: Further arguments of ``search``, such as ``callbacks`` and ``batch_size``.
        directory: Where the search is kept; ``None`` keeps nothing.
        random_state: Seed of the search, its splits and its trainings: an integer, a ``RandomState``, or ``None``.
        verbose: As in ``search``.

    Raises:
        kt_suite.errors.InputError: An argument, or data, that cannot be used.

    Example:
        >>> from kt_suite.sklearn import TunedRegressor
        >>> estimator = TunedRegressor(tuner="bayesian", scoring="val_loss", cv=0.2)
        >>> estimator.get_params()["cv"]
        0.2
    """

    _default_scoring = "val_r2"

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> TunedRegressor:
        """Searches, and makes the best model.

        Args:
            X: Inputs, shape ``(n, ...)``.
            y: Numbers, shape ``(n,)`` or ``(n, k)``.
            sample_weight: Weights of the samples, shape ``(n,)``.
            groups: Group of each sample, for splitters that keep groups together.
        """
        X, y = validate_data(self, X, y, allow_nd=True, dtype="numeric", multi_output=True, y_numeric=True)
        if len(X) < 2:
            raise InputError(rule("X", "hold at least two samples", f"n_samples={len(X)}"))
        self._shape = y.shape[1:]
        self._search(X, y, sample_weight, groups)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Returns the predicted numbers, in the shape of the targets."""
        x = self._checked(X)
        options = {"verbose": 0} if hasattr(self.best_estimator_, "layers") else {}
        return np.asarray(self.best_estimator_.predict(x, **options)).reshape(len(x), *self._shape)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _hold_out(self, share: float, seed: int) -> Any:
        return ShuffleSplit(1, test_size=share, random_state=seed % 2**32)
