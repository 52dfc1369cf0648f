"""A trained Keras model as scikit-learn's scorers see one."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from kt_suite.errors import InputError, rule
from kt_suite.folds import labels_of, predicts_classes


class _Predictions(BaseEstimator):  # type: ignore[misc]
    """The outputs of a model, computed once for the data that it was made with.

    Args:
        model: The model.
        x: Inputs of ``n`` samples.
    """

    def __init__(self, model: Any, x: Any) -> None:
        self.model = model
        self.x = x
        self._outputs = self._compute(x)

    def _compute(self, x: Any) -> np.ndarray:
        outputs = self.model.predict(x, verbose=0)
        if isinstance(outputs, (dict, list, tuple)):
            raise InputError(rule("A model that a scorer judges", "have one output", type(outputs).__name__))
        return np.asarray(outputs)

    def outputs(self, x: Any) -> np.ndarray:
        """Returns the model's outputs."""
        return self._outputs if x is self.x else self._compute(x)


class NumberPredictions(RegressorMixin, _Predictions):  # type: ignore[misc]
    """Outputs that are numbers."""

    def predict(self, x: Any) -> np.ndarray:
        """Returns the outputs, a single column as a vector."""
        outputs = self.outputs(x)
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs


class ClassPredictions(ClassifierMixin, _Predictions):  # type: ignore[misc]
    """Outputs that are one probability, or one a class; or logits, where the loss takes these.

    Args:
        model: The model.
        x: Inputs.
        labels: Class of each sample, shape ``(n,)``.
    """

    def __init__(self, model: Any, x: Any, labels: np.ndarray) -> None:
        super().__init__(model, x)
        self.labels = labels
        num_columns = 1 if self._outputs.ndim == 1 else self._outputs.shape[1]
        lowest = -1 if num_columns == 1 and labels.min() == -1 else 0
        self.classes_ = np.array([lowest, 1]) if num_columns == 1 else np.arange(num_columns)

    def decision_function(self, x: Any) -> np.ndarray:
        """Returns scores that grow with the probability: of the second of two classes, or of each of more."""
        probabilities = self.predict_proba(x)
        return probabilities[:, 1] if len(self.classes_) == 2 else probabilities

    def predict_proba(self, x: Any) -> np.ndarray:
        """Returns the probability of each class, shape ``(n, k)``."""
        outputs = self.outputs(x).astype(np.float64)
        if outputs.ndim == 1 or outputs.shape[1] == 1:
            outputs = outputs.reshape(-1)
            of_second = 1 / (1 + np.exp(-outputs)) if _gives_logits(self.model) else outputs
            return np.column_stack([1 - of_second, of_second])
        if _gives_logits(self.model):
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(outputs / outputs.sum(axis=1, keepdims=True))

    def predict(self, x: Any) -> np.ndarray:
        """Returns the most probable class of each sample, shape ``(n,)``."""
        probabilities = self.predict_proba(x)
        if len(self.classes_) == 2:
            return np.asarray(self.classes_[(probabilities[:, 1] > 0.5).astype(int)])
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class LabelPredictions(ClassifierMixin, _Predictions):  # type: ignore[misc]
    """Outputs that are the probabilities of several labels, each of which may hold."""

    @property
    def classes_(self) -> list[np.ndarray]:
        """The two values of each label."""
        return [np.array([0, 1])] * self._outputs.shape[1]

    def predict_proba(self, x: Any) -> np.ndarray:
        """Returns the probability of each label, shape ``(n, k)``."""
        outputs = self.outputs(x).astype(np.float64)
        return 1 / (1 + np.exp(-outputs)) if _gives_logits(self.model) else outputs

    def predict(self, x: Any) -> np.ndarray:
        """Returns which labels hold, shape ``(n, k)``."""
        return (self.predict_proba(x) > 0.5).astype(int)


def as_estimator(model: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Returns a trained model as an estimator, and targets as scorers take them.

    Whether outputs are classes is told by the loss that the model is compiled with, else by the targets.

    Args:
        model: A compiled ``keras.Model`` of one output.
        x: Inputs of ``n`` samples.
        y: Their targets: classes, one-hot rows, labels of zeros and ones, or numbers.

    Raises:
        InputError: The model has several outputs, or no targets to compare one with.
    """
    if y is None or isinstance(y, (dict, list, tuple)):
        raise InputError(rule("Targets that a scorer compares", "be one array", type(y).__name__))
    y = np.asarray(y)
    classes = predicts_classes(getattr(model, "loss", None))
    each_column_by_itself = y.ndim == 2 and y.shape[1] > 1 and "binary" in _loss_name(model)
    labels = None if each_column_by_itself else labels_of(y, classes)
    if labels is not None:
        return ClassPredictions(model, x, labels), labels
    if y.ndim == 2 and classes:
        return LabelPredictions(model, x), y
    return NumberPredictions(model, x), y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _loss_name(model: Any) -> str:
    loss = getattr(model, "loss", None)
    return loss if isinstance(loss, str) else str(getattr(loss, "name", getattr(loss, "__name__", "")))


def _gives_logits(model: Any) -> bool:
    return bool(getattr(model.loss, "from_logits", False)) or "hinge" in _loss_name(model)
