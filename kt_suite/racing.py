"""Racing of folds: a trial that cannot win any more is not trained on the folds that are left.

After each fold the trial is compared with the incumbent on the folds that both have been validated on. Be d_1, ...,
d_k the differences of their losses there, with mean m and standard deviation s, and K the number of all folds. The
trial wins in the end if the mean of all K differences is negative. If folds are exchangeable and differences normal,
the mean of the K - k that are left has a predictive distribution by Student, with k - 1 degrees of freedom, so that the
chance of winning is

    P(win) = T_{k-1}(-t),    t = m / (s / sqrt(k)) / sqrt(1 - k / K),

the paired t statistic with the finite-population correction: the nearer the last fold, the surer the verdict. The trial
stops once P(win) < alpha / L, where L is the number of looks (after min_folds, ..., K - 1 folds): by Bonferroni's
inequality a trial that would have won is stopped with a chance of about alpha at most.

Pairing takes out what makes a fold hard for every trial, as in the t-race of Birattari et al., "A racing algorithm for
configuring metaheuristics", GECCO 2002; unlike there, what is predicted is the score that the search ranks by, not an
expectation over all possible folds, so that no correction for their overlap is needed. Folds of a time series are not
exchangeable: do not race them. Differences that are all the same tell nothing of their spread: the trial goes on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kt_suite.errors import InputError, rule
from kt_suite.objective import to_loss
from kt_suite.trial import Decision, Report, TrialRecord, TrialStatus


class Racing:
    """Judges trials by the folds that they have ended.

    Args:
        alpha: Chance that a trial is stopped that would have won, in (0, 0.5).
        min_folds: Folds before the first verdict, at least 2.

    Raises:
        InputError: An argument out of its range.
    """

    def __init__(self, alpha: float = 0.05, min_folds: int = 3) -> None:
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 0.5:
            raise InputError(rule("alpha of racing", "lie in (0, 0.5)", alpha))
        if isinstance(min_folds, bool) or not isinstance(min_folds, int) or min_folds < 2:
            raise InputError(rule("min_folds of racing", "be an integer of at least 2", min_folds))
        self.alpha = float(alpha)
        self.min_folds = min_folds
        self._losses: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)

    def open(self, num_folds: int, num_repeats: int, direction: str) -> None:
        """Starts a search with so many folds, each of so many runs."""
        self._num_folds, self._num_repeats, self._direction = num_folds, num_repeats, direction
        self._losses.clear()

    def judge(self, trial: TrialRecord, report: Report, trials: Iterable[TrialRecord]) -> Decision:
        """Judges a trial by the report of a run that has ended; ``trials`` are all of the search."""
        losses = self._losses[trial.trial_id, report.attempt]
        losses[report.run] = to_loss(next(iter(report.metrics.values())), self._direction)
        num_ended, is_within_fold = divmod(len(losses), self._num_repeats)
        incumbent = self._incumbent(trial, trials)
        if is_within_fold or incumbent is None:
            return Decision.CONTINUE
        mine = np.reshape([losses[run] for run in sorted(losses)], (num_ended, self._num_repeats)).mean(axis=1)
        theirs = [to_loss(score, self._direction) for score in incumbent.fold_scores[:num_ended]]
        looks = self._num_folds - self.min_folds
        if not self.min_folds <= num_ended < self._num_folds or not np.isfinite(mine).all():
            return Decision.CONTINUE
        chance = chance_of_winning(mine - theirs, self._num_folds)
        if chance >= self.alpha / looks:
            return Decision.CONTINUE
        trial.message = (
            f"After {num_ended} of {self._num_folds} folds its chance to beat {incumbent.trial_id} is {chance:.2g}."
        )
        return Decision.STOP

    def _incumbent(self, trial: TrialRecord, trials: Iterable[TrialRecord]) -> TrialRecord | None:
        level = (trial.budget, trial.data_share)
        rivals = [
            one
            for one in trials
            if one.status == TrialStatus.COMPLETED
            and (one.budget, one.data_share) == level
            and len(one.fold_scores) == self._num_folds
        ]
        return min(rivals, key=lambda one: to_loss(one.score or 0.0, self._direction), default=None)


def chance_of_winning(differences: Sequence[float] | np.ndarray, num_folds: int) -> float:
    """Returns the chance that the mean difference over all folds is negative.

    Args:
        differences: Losses of a trial less those of another, on the first ``k`` folds, at least 2.
        num_folds: All folds, more than ``k``.

    Example:
        >>> round(chance_of_winning([0.1, 0.2, 0.15], 5), 4)
        0.0134
    """
    from scipy.special import stdtr

    k = len(differences)
    spread = float(np.std(differences, ddof=1))
    if not spread > 1e-12 * float(np.max(np.abs(differences), initial=0.0)):
        return 1.0
    t = float(np.mean(differences)) / (spread / math.sqrt(k)) / math.sqrt(1 - k / num_folds)
    return float(stdtr(k - 1, -t))


def as_racing(racing: Any) -> Racing | None:
    """Returns what ``racing=`` stands for: ``True`` for the defaults, a number for ``alpha``, ``None`` for none."""
    if racing is None or racing is False or isinstance(racing, Racing):
        return racing or None
    return Racing() if racing is True else Racing(racing)
