"""The surrogates of one search at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kt_suite.acquisition.acquisition import (
    Acquisition,
    Utility,
    log_improvement,
    log_probability_below,
    lower_confidence_bound,
    negative_mean,
)
from kt_suite.acquisition.domain import Domain
from kt_suite.acquisition.evidence import Evidence
from kt_suite.acquisition.subset import choose_rows
from kt_suite.surrogates import GaussianProcess, KernelParameters, MixedMatern, OutputWarping, Priors, fit

Array = np.ndarray

_MAX_FITTED = 250
_MAX_CONDITIONED = 500
_MAX_FAILED = 100
_MIN_POWERED = 6
_MIN_OWN = 4
_MIN_COSTS = 4
_NUM_ANCHORS = 5
# After failures: how many of the last trials say how much they are to be avoided, and the improvement (of losses of
# variance 1) below which a better loss is worth no risk.
_NUM_RECENT = 10
_LEAST_GAIN = 1e-3
# Failures and costs are rough by nature: what repeats exactly is the exception.
_ROUGH = Priors(length_scale=1.0, noise=0.05, noise_spread=1.0, min_noise=1e-3)


@dataclass(frozen=True)
class Settings:
    """How to propose.

    Attributes:
        noise: Variance of the noise, in units of the losses' variance; ``None`` to learn it.
        beta: Takes the lower confidence bound with this factor in place of log expected improvement.
        is_cost_aware: Whether improvement is counted per second.
    """

    noise: float | None = None
    beta: float | None = None
    is_cost_aware: bool = False


class SearchModel:
    """Surrogates of loss, failure and cost.

    Their coordinates are those of the domain and, where they vary, the fidelity and the source of an observation: how
    much cheaper observations and earlier searches tell is learned as any length-scale is.

    Args:
        domain: The domain.
        evidence: What is known, with at least two losses.
        rng: Chooses among trials when there are too many.
        settings: How to propose.
    """

    _loss: GaussianProcess
    _threshold: float

    def __init__(self, domain: Domain, evidence: Evidence, rng: np.random.Generator, settings: Settings) -> None:
        self._domain = domain
        self._evidence = evidence
        self._rng = rng
        self._settings = settings
        extra, is_category, context = self._extra_columns()
        self._x = np.column_stack([evidence.points, *extra])
        self._context = np.array(context)
        is_conditional = np.append(domain.is_conditional, np.zeros(len(extra), dtype=bool))
        self._kernel = MixedMatern(
            np.append(domain.is_category, is_category).astype(bool), is_conditional | np.isnan(self._x).any(axis=0)
        )
        self._fit_loss()
        self._terms = [*self._failure_terms(), *self._cost_terms()]

    def _extra_columns(self) -> tuple[list[Array], list[bool], list[float]]:
        """Returns fidelity and source where losses differ in them, which of them are categories, and what we ask
        for.
        """
        columns, is_category, context = [], [], []
        evidence = self._evidence
        levels = np.log(evidence.fidelities)
        observed = levels[evidence.is_scored]
        if np.ptp(observed) > 0.0:
            # A pending trial will be observed at the level that all proposals are made for.
            levels = np.where(evidence.is_scored, levels, observed.max())
            columns.append((levels - observed.min()) / np.ptp(observed))
            is_category.append(False)
            context.append(1.0)
        if np.any(evidence.sources > 0):
            columns.append(evidence.sources.astype(float))
            is_category.append(True)
            context.append(0.0)
        return columns, is_category, context

    @property
    def acquisition(self) -> Acquisition:
        """The utility of a point, given all that is known and believed."""
        beta, floor = self._settings.beta, _LEAST_GAIN if self._evidence.is_failed.any() else 0.0
        utility = log_improvement(self._threshold, floor) if beta is None else lower_confidence_bound(beta)
        return Acquisition([(self._loss, utility), *self._terms], self._context)

    @property
    def num_starts(self) -> int:
        """How many points should climb: fewer where each costs more."""
        return 10 if len(self._loss.y) <= 200 else 6

    def anchors(self) -> Array:
        """Returns the best points of the search, as full points of shape ``(k, d)``."""
        own = np.flatnonzero(self._evidence.is_scored & (self._evidence.sources == 0))
        best = own[np.argsort(self._evidence.losses[own], kind="stable")][:_NUM_ANCHORS]
        points = self._evidence.points[best]
        return np.where(np.isnan(points), self._domain.sample(self._rng, len(points)), points)

    def believe(self, points: Array) -> None:
        """Takes points ``(m, d)``, NaN where inactive, for pending: the surrogate believes its own mean there, and what
        comes next has to improve on it.
        """
        x = np.column_stack([points, np.tile(self._context, (len(points), 1))])
        self._threshold = min(self._threshold, float(self._loss.posterior(x).mean.min()))
        self._loss = self._loss.condition(x)

    def _fit_loss(self) -> None:
        evidence = self._evidence
        is_own = evidence.sources == 0
        # The scale of a few losses of one's own says nothing yet, where others have shown what to expect.
        is_used = evidence.is_scored.copy()
        if len(self._context) and np.any(is_used & ~is_own) and np.count_nonzero(is_used & is_own) < _MIN_OWN:
            is_used &= ~is_own
        used = np.flatnonzero(is_used)
        rank = self._scale(used, OutputWarping.standardizing)[0]
        rows = used[choose_rows(self._kernel, self._x[used], rank, self._rng, num_rows=_MAX_CONDITIONED)]
        process = self._fit_scaled(rows)
        failed = self._draw(np.flatnonzero(is_own & evidence.is_failed), _MAX_FAILED)
        unused = np.flatnonzero(is_own & evidence.is_scored & ~is_used)
        self._loss = process.condition(self._x[np.concatenate([failed, unused])])
        self._threshold = self._find_threshold(rows)
        if (is_pending := is_own & evidence.is_pending).any():
            self.believe(evidence.points[is_pending])

    def _fit_scaled(self, rows: Array) -> GaussianProcess:
        """Fits the surrogate to the losses of ``rows``, scaled in the way that makes them most probable."""
        fits: list[tuple[float, KernelParameters, Array]] = []
        ways: list[Callable[[Array], OutputWarping]] = [OutputWarping.standardizing]
        if len(rows) >= _MIN_POWERED:
            ways.append(OutputWarping.powering)
        chosen = self._choose_fitted(rows)
        for way in ways:
            y, slopes = self._scale(rows, way)
            parameters, value = fit(
                self._kernel,
                self._x[rows][chosen],
                y[chosen],
                noise=self._settings.noise,
                num_context=len(self._context),
            )
            fits.append((value - float(slopes[chosen].sum()), parameters, y))
        _, parameters, y = min(fits, key=lambda fitted: fitted[0])
        return GaussianProcess(self._kernel, parameters, self._x[rows], y)

    def _choose_fitted(self, rows: Array) -> Array:
        rank = self._scale(rows, OutputWarping.standardizing)[0]
        return choose_rows(self._kernel, self._x[rows], rank, self._rng, num_rows=_MAX_FITTED)

    def _scale(self, rows: Array, way: Callable[[Array], OutputWarping]) -> tuple[Array, Array]:
        """Returns the losses of ``rows``, each search's scaled by itself, and the logarithms of the slopes of that
        map.
        """
        losses, sources = self._evidence.losses[rows], self._evidence.sources[rows]
        y, slopes = np.empty(len(rows)), np.empty(len(rows))
        for source in np.unique(sources):
            group = sources == source
            warping = way(losses[group])
            y[group], slopes[group] = warping(losses[group]), warping.log_slopes(losses[group])
        return y, slopes

    def _find_threshold(self, rows: Array) -> float:
        """Returns the least loss that is believed of a trial: among those of the highest fidelity, where there are
        any.
        """
        is_own = self._evidence.sources[rows] == 0
        is_full = is_own & (
            self._evidence.fidelities[rows] == self._evidence.fidelities[self._evidence.is_scored].max()
        )
        rows = rows[is_full] if is_full.any() else rows[is_own] if is_own.any() else rows
        x = self._x[rows].copy()
        x[:, self._domain.num_dimensions :] = self._context
        return float(self._loss.posterior(x).mean.min())

    def _failure_terms(self) -> list[tuple[GaussianProcess, Utility]]:
        """Returns the chance of success, by regression on labels (Rasmussen and Williams, section 6.5), once it
        matters.

        It counts the more, the more of the latest trials have failed. The best trials that can succeed often lie at the
        edge of those that fail; a search that halves its way towards this edge would fail every other time.
        """
        evidence = self._evidence
        failed, scored = np.flatnonzero(evidence.is_failed), np.flatnonzero(evidence.is_scored)
        if len(failed) == 0:
            return []
        failed, scored = self._draw(failed, _MAX_FAILED), self._draw(scored, _MAX_FITTED - _MAX_FAILED)
        x = self._x[np.concatenate([failed, scored])]
        labels = np.repeat([1.0, 0.0], [len(failed), len(scored)])
        center, spread = labels.mean(), labels.std()
        y = (labels - center) / spread
        parameters, _ = fit(self._kernel, x, y, priors=_ROUGH)
        process = GaussianProcess(self._kernel, parameters, x, y)
        own = np.flatnonzero((evidence.sources == 0) & ~evidence.is_pending)[-_NUM_RECENT:]
        weight = 1.0 + np.count_nonzero(evidence.is_failed[own])
        return [(process, log_probability_below((0.5 - center) / spread, parameters.noise, weight=weight))]

    def _cost_terms(self) -> list[tuple[GaussianProcess, Utility]]:
        """Returns the speed of trials, if it is to count and enough is known of it."""
        seconds = self._evidence.seconds
        known = np.flatnonzero(self._evidence.is_scored & (seconds > 0.0))
        if not self._settings.is_cost_aware or len(known) < _MIN_COSTS:
            return []
        known = self._draw(known, _MAX_FITTED)
        logs = np.log(seconds[known])
        spread = float(logs.std()) or 1.0
        y = (logs - logs.mean()) / spread
        parameters, _ = fit(self._kernel, self._x[known], y, priors=_ROUGH)
        return [(GaussianProcess(self._kernel, parameters, self._x[known], y), negative_mean(spread))]

    def _draw(self, rows: Array, num_rows: int) -> Array:
        return rows if len(rows) <= num_rows else np.sort(self._rng.choice(rows, num_rows, replace=False))
