from __future__ import annotations

from dataclasses import replace

import pytest

from kt_suite.loggers.progress import SearchProgress
from kt_suite.trial import TrialRecord, TrialStatus
from tests.unit.loggers.fake_search import START, make_info, make_reports, make_trial


class Clock:
    """A clock that is set by hand."""

    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def running(number: int) -> TrialRecord:
    return make_trial(number, status=TrialStatus.RUNNING, score=None, ended=None)


def test_a_search_without_finished_trials_cannot_tell_the_time_left(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=3), clock)
    progress.begin_trial(running(0))
    assert progress.seconds_left is None


def test_before_any_trial_has_ended_epochs_tell_the_time_left(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=5, epochs=3), clock)
    for trial in (running(0), running(1)):
        progress.begin_trial(trial)
        for report in make_reports(trial)[:1]:
            progress.report(trial, report)
    clock.now += 4
    # Two thirds of a trial in four seconds, of five trials.
    assert progress.seconds_left == pytest.approx(4 * (5 - 2 / 3) / (2 / 3))


def test_a_search_without_bounds_cannot_tell_the_time_left(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=None, trials=[make_trial(0)]), clock)
    assert progress.num_trials is None
    assert progress.seconds_left is None


def test_the_time_left_follows_from_finished_trials(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=4, trials=[make_trial(0)]), clock)
    progress.begin_trial(running(1))
    clock.now += 4
    assert progress.seconds_left == pytest.approx(3 * 10 - 4)


def test_slots_share_the_time_left(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=5, trials=[make_trial(0)]), clock)
    progress.begin_trial(running(1))
    progress.begin_trial(running(2))
    assert progress.seconds_left == pytest.approx(4 * 10 / 2)


def test_a_trial_that_takes_longer_than_the_others_leaves_no_negative_time(clock: Clock) -> None:
    progress = SearchProgress(make_info(max_trials=2, trials=[make_trial(0)]), clock)
    progress.begin_trial(running(1))
    clock.now += 1000
    assert progress.seconds_left == 0


def test_a_finite_space_bounds_the_trials(clock: Clock) -> None:
    assert SearchProgress(make_info(max_trials=None, facts={"space_size": 6}), clock).num_trials == 6
    assert SearchProgress(make_info(max_trials=4, facts={"space_size": 6}), clock).num_trials == 4


def test_a_resumed_search_knows_what_it_kept(clock: Clock) -> None:
    progress = SearchProgress(make_info(trials=[make_trial(0), make_trial(1), running(2)]), clock)
    assert (progress.num_kept, progress.num_interrupted) == (2, 1)
    assert progress.best is not None
    assert progress.best.trial_id == "0001"


def test_an_attempt_that_is_retried_is_not_finished(clock: Clock) -> None:
    progress = SearchProgress(make_info(), clock)
    progress.begin_trial(running(0))
    progress.end_trial(make_trial(0, status=TrialStatus.FAILED, score=None), will_retry=True)
    assert progress.running == {}
    assert progress.finished == []


def test_later_changes_to_a_record_are_not_seen(clock: Clock) -> None:
    progress = SearchProgress(make_info(), clock)
    trial = make_trial(0)
    progress.begin_trial(trial)
    progress.report(trial, make_reports(trial)[0])
    progress.end_trial(trial, will_retry=False)
    trial.score, trial.values["units"] = 0.0, -1
    assert progress.finished[0].score == 0.9
    assert progress.finished[0].values["units"] == 8
    assert progress.best == progress.finished[0]


def test_epochs_of_all_runs_count(clock: Clock) -> None:
    progress = SearchProgress(make_info(runs_per_trial=2), clock)
    trial = running(0)
    progress.begin_trial(trial)
    for report in make_reports(trial, runs=(0, 1)):
        progress.report(trial, report)
    assert progress.running["0000"].num_epochs == progress.num_epochs(trial) == 6
    assert progress.num_epochs(replace(trial, budget=1)) == 2
    assert SearchProgress(make_info(epochs=None), clock).num_epochs(trial) is None


def test_the_incumbent_follows_the_direction(clock: Clock) -> None:
    progress = SearchProgress(make_info(direction="min"), clock)
    for number in (1, 0, 2):
        progress.end_trial(make_trial(number), will_retry=False)
    assert progress.best is not None
    assert progress.best.trial_id == "0000"
