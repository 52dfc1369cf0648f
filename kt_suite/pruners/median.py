"""The median stopping rule."""

from __future__ import annotations

from kt_suite.pruners.percentile import PercentilePruner


class MedianPruner(PercentilePruner):
    """Stops a trial whose best epoch so far is worse than the median of the running averages of other trials.

    The median stopping rule of Golovin et al., "Google Vizier: A service for black-box optimization", KDD 2017;
    see ``PercentilePruner`` for how it is applied.

    Args:
        num_startup_trials: Ended trials that an epoch needs before it is judged, at least 1.
        num_warmup_epochs: Epochs at the start of a training that are not judged.

    Raises:
        InputError: An argument out of its range.

    Example:
        >>> from kt_suite.pruners import MedianPruner
        >>> pruner = MedianPruner(num_warmup_epochs=3)
    """

    def __init__(self, *, num_startup_trials: int = 5, num_warmup_epochs: int = 0) -> None:
        super().__init__(50.0, num_startup_trials=num_startup_trials, num_warmup_epochs=num_warmup_epochs)
