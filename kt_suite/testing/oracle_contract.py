# ruff: noqa: S101 - these are tests
"""The contract of oracles."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from kt_suite.testing.contract import Contract
from kt_suite.testing.oracle_session import OracleSession, four_points, space_of, toy_is_legal, toy_loss, values_of
from kt_suite.trial import TrialStatus

MakeOracle = Callable[..., Any]


class OracleContract(Contract):
    """What a ``keras_tuner.Oracle`` must keep to, to run in the searches of kt_suite and of KerasTuner.

    A subclass supplies the fixture ``make_oracle``: a class or function that returns a new oracle, and takes the
    keyword arguments ``objective``, ``seed``, ``hyperparameters``, ``max_trials``, ``max_retries_per_trial`` and
    ``max_consecutive_failed_trials``.

    Attributes:
        num_trials: Trials in each test, at least 7; more for an algorithm that begins to learn later.
    """

    num_trials = 8

    def _session(
        self, make_oracle: MakeOracle, directory: Path, build: Any = toy_loss, **options: Any
    ) -> OracleSession:
        return OracleSession(_oracle(make_oracle, build, **options), build, directory)

    def test_the_same_seed_gives_the_same_proposals(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """One seed gives one search."""
        one = self._session(make_oracle, tmp_path / "one").run(self.num_trials)
        assert one == self._session(make_oracle, tmp_path / "two").run(self.num_trials)

    def test_zero_is_a_seed(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """Seed 0 is as good as any other, whatever the state of global generators."""
        one = self._session(make_oracle, tmp_path / "one", seed=0)
        random.random()
        two = self._session(make_oracle, tmp_path / "two", seed=0)
        assert one.oracle.seed == two.oracle.seed == 0
        assert one.run(self.num_trials) == two.run(self.num_trials)

    def test_proposals_lie_in_bounds_and_inactive_values_are_absent(
        self, make_oracle: MakeOracle, tmp_path: Path
    ) -> None:
        """Every proposal is a point of the space: each active value in its range, no other value at all."""
        proposals = self._session(make_oracle, tmp_path).run(self.num_trials)
        assert [values for values in proposals if not toy_is_legal(values)] == []
        assert len(proposals) == self.num_trials

    def test_a_stored_search_goes_on_as_if_never_interrupted(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """After storing and loading, even with a trial under way, proposals are those of an uninterrupted search."""
        expected = self._session(make_oracle, tmp_path / "whole").run(self.num_trials)
        first = self._session(make_oracle, tmp_path / "parts")
        first.run(self.num_trials // 2)
        under_way = first.propose()
        assert under_way is not None
        second = self._session(make_oracle, tmp_path / "parts")
        proposals = second.run(self.num_trials - self.num_trials // 2)
        assert second.trials[0].trial_id == under_way.trial_id
        assert second.trials[0].attempt == 2
        assert [*map(values_of, first.trials[:-1]), *proposals] == expected

    def test_failed_trials_survive_and_are_never_best(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """Failed trials neither stop proposals nor count as best, before and after loading."""
        session = self._session(make_oracle, tmp_path)
        session.run(2)
        for status in (TrialStatus.FAILED, TrialStatus.INVALID):
            session.end(session.proposed(), status=status)
        best = [trial.trial_id for trial in session.oracle.get_best_trials(10)]
        loaded = self._session(make_oracle, tmp_path)
        assert all(map(toy_is_legal, loaded.run(2)))
        statuses = [loaded.oracle.trials[trial.trial_id].status for trial in session.trials]
        assert statuses == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
        assert set(best) == {trial.trial_id for trial in session.trials[:2]}
        assert len(loaded.oracle.get_best_trials(10)) == 4

    @pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning")  # KerasTuner's tracker of metrics
    @pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
    def test_a_score_that_is_no_number_fails_its_trial(
        self, make_oracle: MakeOracle, tmp_path: Path, loss: float
    ) -> None:
        """NaN and infinite scores are failures: never best, never learned from."""
        session = self._session(make_oracle, tmp_path)
        trial = session.end(session.proposed(), loss)
        assert trial.status == TrialStatus.FAILED
        session.run(self.num_trials - 1)
        assert trial not in session.oracle.get_best_trials(self.num_trials)
        assert all(map(toy_is_legal, map(values_of, session.trials)))

    def test_pending_trials_are_not_proposed_again(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """Slots that work side by side get trials of different values; a slot that asks twice gets the same trial."""
        session = self._session(make_oracle, tmp_path, four_points)
        trials = [trial for trial in map(session.propose, "ABC") if trial is not None]
        assert len({str(sorted(values_of(trial).items())) for trial in trials}) == len(trials) >= 1
        assert session.oracle.create_trial("A").trial_id == trials[0].trial_id

    def test_an_exhausted_space_ends_the_search(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """Every point of a finite space is proposed (afresh, not as a promotion) once at most, and then no more."""
        session = self._session(make_oracle, tmp_path, four_points)
        session.run(40)
        fresh = [str(sorted(values_of(trial).items())) for trial in session.trials if trial.parent is None]
        assert session.status == TrialStatus.STOPPED
        assert len(fresh) == len(set(fresh)) == 4

    @pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning")
    def test_a_failure_is_tried_again_as_often_as_allowed(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """An invalid trial comes again, the same one, and a success then counts as if nothing had happened."""
        session = self._session(make_oracle, tmp_path, max_retries_per_trial=2)
        first = session.end(session.proposed(), math.nan)
        again = session.end(session.proposed(), status=TrialStatus.INVALID)
        third = session.end(session.proposed(), 0.25)
        assert first.trial_id == again.trial_id == third.trial_id
        assert (third.attempt, third.status, third.score) == (3, TrialStatus.COMPLETED, 0.25)

    def test_only_failures_in_a_row_end_the_search(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """Too many failed trials raise an error, which leaves the oracle free, and is over with the next success."""
        session = self._session(make_oracle, tmp_path, max_consecutive_failed_trials=2)
        session.end(session.proposed(), status=TrialStatus.FAILED)
        with pytest.raises(RuntimeError, match="failed on purpose"):
            session.end(session.proposed(), status=TrialStatus.FAILED)
        asked = threading.Thread(target=session.oracle.create_trial, args=("other",), daemon=True)
        asked.start()
        asked.join(10)
        assert not asked.is_alive(), "the oracle is still locked"
        session.end(session.proposed("other"))
        session.run(2)

    def test_a_trial_can_be_ended_by_keyword(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """``end_trial(trial=...)`` is ``end_trial(...)``."""
        session = self._session(make_oracle, tmp_path)
        trial = session.proposed()
        session.oracle.update_trial(trial_id=trial.trial_id, metrics={"loss": 1.0}, step=0)
        trial.status = TrialStatus.COMPLETED
        session.oracle.end_trial(trial=trial)
        assert [one.score for one in session.oracle.get_best_trials()] == [1.0]

    def test_it_runs_in_a_plain_keras_tuner(self, make_oracle: MakeOracle, tmp_path: Path) -> None:
        """A ``keras_tuner.Tuner`` runs it, and reloads it to go on as if never interrupted."""
        whole = self._plain_search(make_oracle, tmp_path / "whole", [self.num_trials])
        parts = self._plain_search(make_oracle, tmp_path / "parts", [self.num_trials // 2, self.num_trials])
        assert all(map(toy_is_legal, whole))
        assert parts == whole

    def _plain_search(self, make_oracle: MakeOracle, directory: Path, stops: list[int]) -> list[dict[str, Any]]:
        """Interrupts the search after each number of trials in turn, and goes on with a new tuner and oracle."""
        for stop in stops:
            oracle = _oracle(make_oracle, toy_loss)
            tuner = _PlainTuner(oracle, directory=str(directory), project_name="plain")
            tuner.stop = stop
            with pytest.raises(KeyboardInterrupt):
                tuner.search(verbose=0)
        return [values_of(oracle.trials[trial_id]) for trial_id in oracle.start_order if trial_id in oracle.end_order]


class _PlainTuner(keras_tuner.Tuner):  # type: ignore[misc]
    """KerasTuner's own loop, interrupted after ``stop`` trials."""

    stop: int

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        if len(self.oracle.end_order) >= self.stop:
            raise KeyboardInterrupt
        return toy_loss(trial.hyperparameters)


def _oracle(make_oracle: MakeOracle, build: Any, **options: Any) -> Any:
    objective = keras_tuner.Objective("loss", "min")
    return make_oracle(
        **{"objective": objective, "seed": 5, "max_trials": 100, "hyperparameters": space_of(build), **options}
    )
