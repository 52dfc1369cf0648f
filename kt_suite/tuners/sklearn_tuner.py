"""KerasTuner's tuner for scikit-learn, on our search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kt_suite.tuner import Tuner


class SklearnTuner(Tuner):
    """Tunes estimators of scikit-learn by cross-validation, with the arguments of KerasTuner's tuner of this name.

    Any tuner takes a build that returns an estimator; this one takes the oracle, and reports ``"score"``.

    Args:
        oracle: Any oracle, whose objective is ``Objective("score", "max")``.
        hypermodel: A ``HyperModel``, or a function ``build(hp)``, that returns an estimator or a pipeline.
        scoring: A scorer of scikit-learn, by name or as a callable; the estimator's own ``score`` if ``None``.
        metrics: Functions of targets and predictions to be reported beside the score.
        cv: A splitter, or a number of folds; five shuffled folds if ``None``.
        **kwargs: As for ``Tuner``.

    Example:
        >>> import kt_suite as kts
        >>> from sklearn.linear_model import Ridge
        >>> tuner = kts.SklearnTuner(
        ...     kts.oracles.RandomSearchOracle(objective=kts.Objective("score", "max"), max_trials=3),
        ...     lambda hp: Ridge(hp.Float("alpha", 1e-3, 10.0, sampling="log")),
        ... )
    """

    def __init__(
        self,
        oracle: Any,
        hypermodel: Any,
        scoring: Any = None,
        metrics: Sequence[Any] | Any = None,
        cv: Any = None,
        **kwargs: Any,
    ) -> None:
        from sklearn.metrics import get_scorer
        from sklearn.model_selection import KFold

        self.scoring = get_scorer(scoring) if isinstance(scoring, str) else scoring
        self.cv = KFold(5, shuffle=True, random_state=1) if cv is None else cv
        self._scorers = {} if self.scoring is None else {oracle.objective.name: self.scoring}
        listed = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
        self._metric_functions = list(listed)
        super().__init__(oracle, hypermodel, cross_validation=self.cv, **kwargs)

    def search(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, **kwargs: Any) -> None:
        """Searches until all trials are done, the space is exhausted, or a limit is reached.

        Args:
            X: Inputs, of shape ``(n, ...)``.
            y: Targets.
            sample_weight: Weights of the samples, in fitting and in scoring, where these take some.
            groups: Group of each sample, for splitters that keep groups together.
            **kwargs: ``verbose``, as for ``Tuner``.
        """
        super().search(X, y, sample_weight=sample_weight, groups=groups, **kwargs)
