"""Tuned networks as estimators of scikit-learn: fit, predict, score, and the attributes that its searches have."""

from kt_suite.sklearn.classifier import TunedClassifier
from kt_suite.sklearn.regressor import TunedRegressor

__all__ = ["TunedClassifier", "TunedRegressor"]
