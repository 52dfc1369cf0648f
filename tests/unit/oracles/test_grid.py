from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from kt_suite.oracles import GridSearchOracle
from kt_suite.testing import OracleSession
from kt_suite.testing.oracle_session import space_of
from kt_suite.trial import TrialStatus


def session_of(build: Any, directory: Path, known: Any = None, **options: Any) -> OracleSession:
    space = space_of(known or build)
    return OracleSession(GridSearchOracle(objective="loss", hyperparameters=space, seed=0, **options), build, directory)


def used(session: OracleSession) -> list[dict[str, Any]]:
    trials = session.oracle.trials
    return [trials[trial_id].record.used_values for trial_id in session.oracle.start_order]


def test_the_whole_grid_is_walked_the_last_varying_fastest(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("a", 0, 2) + len(hp.Choice("b", ["x", "yy"])) + hp.Boolean("c"))

    session = session_of(build, tmp_path)
    points = [tuple(values.values()) for values in session.run(100)]
    assert points == list(itertools.product(range(3), ["x", "yy"], [True, False]))
    assert session.status == TrialStatus.STOPPED


def test_a_float_without_a_step_takes_ten_points(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return hp.Float("x", 0.0, 1.0)

    points = [values["x"] for values in session_of(build, tmp_path).run(100)]
    assert points == pytest.approx([0.05 + 0.1 * index for index in range(10)])


def test_steps_on_a_log_scale_are_walked_as_integers(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("batch", 8, 64, step=2, sampling="log"))

    points = [values["batch"] for values in session_of(build, tmp_path).run(100)]
    assert points == [8, 16, 32, 64]
    assert all(type(point) is int for point in points)


def conditional(hp: Any) -> float:
    kind = hp.Choice("kind", ["tree", "net"])
    with hp.conditional_scope("kind", ["tree"]):
        hp.Int("leaves", 2, 4)
    with hp.conditional_scope("kind", ["net"]):
        depth = hp.Choice("depth", [1, 2])
        with hp.conditional_scope("depth", [2]):
            hp.Boolean("skip")
    hp.Fixed("base", 1)
    return float(len(kind) + (depth or 0))


def test_conditional_hyperparameters_are_walked_where_they_are_active(tmp_path: Path) -> None:
    points = session_of(conditional, tmp_path).run(100)
    assert points == [
        *({"kind": "tree", "leaves": leaves, "base": 1} for leaves in (2, 3, 4)),
        {"kind": "net", "depth": 1, "base": 1},
        *({"kind": "net", "depth": 2, "skip": skip, "base": 1} for skip in (True, False)),
    ]


def dynamic(hp: Any) -> float:
    """Asks for as many widths as there are layers, and for a rate by sgd only: no scope says so."""
    widths = [hp.Choice(f"units_{index}", [4, 8]) for index in range(hp.Int("num_layers", 1, 2))]
    rate = hp.Choice("rate", [0.1, 0.2, 0.3]) if hp.Choice("rule", ["adam", "sgd"]) == "sgd" else 0.0
    return float(sum(widths) + rate)


def every_dynamic_point() -> set[str]:
    points = []
    for layers in (1, 2):
        for widths in itertools.product([4, 8], repeat=layers):
            base = {"num_layers": layers, **{f"units_{index}": width for index, width in enumerate(widths)}}
            points.append({**base, "rule": "adam"})
            points += [{**base, "rule": "sgd", "rate": rate} for rate in (0.1, 0.2, 0.3)]
    return {str(sorted(point.items())) for point in points}


def test_what_only_some_builds_ask_for_is_walked_exactly_there(tmp_path: Path) -> None:
    session = session_of(dynamic, tmp_path, known=lambda hp: hp.Int("num_layers", 1, 2))
    session.run(100)
    points = [str(sorted(values.items())) for values in used(session)]
    assert len(points) == len(set(points))
    assert set(points) == every_dynamic_point()


@pytest.mark.parametrize("stops", [[1, 2, 3], [5], [0, 7, 7, 1]])
def test_a_grid_that_is_stored_and_loaded_goes_on_where_it_was(tmp_path: Path, stops: list[int]) -> None:
    def session(name: str) -> OracleSession:
        return session_of(dynamic, tmp_path / name, known=lambda hp: hp.Int("num_layers", 1, 2))

    whole = session("whole")
    whole.run(100)
    for stop in stops:
        session("parts").run(stop)
    parts = session("parts")
    parts.run(100)
    assert used(parts) == used(whole)


@pytest.mark.parametrize("num_slots", [2, 5])
def test_slots_side_by_side_cover_the_same_grid(tmp_path: Path, num_slots: int) -> None:
    session = session_of(dynamic, tmp_path, known=lambda hp: hp.Int("num_layers", 1, 2))
    pending: list[Any] = []
    while len(session.trials) < 100:
        trial = session.propose(f"slot{len(session.trials)}")
        if trial is not None:
            pending.append(trial)
        elif session.status == TrialStatus.STOPPED:
            break
        if trial is None or len(pending) == num_slots:
            assert pending, "idle while nothing runs"
            session.end(pending.pop(len(session.trials) % len(pending)))
    for trial in pending:
        session.end(trial)
    assert session.status == TrialStatus.STOPPED
    points = {str(sorted(values.items())) for values in used(session)}
    assert points == every_dynamic_point()


def test_failed_trials_leave_no_hole_in_the_grid(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(hp.Int("a", 0, 3) + hp.Int("b", 0, 2))

    session = session_of(build, tmp_path, max_consecutive_failed_trials=100)
    while (trial := session.propose()) is not None:
        session.end(trial, status=TrialStatus.FAILED if trial.number % 3 == 0 else TrialStatus.COMPLETED)
    points = [tuple(trial.values.values()) for trial in session.trials]
    assert sorted(points) == list(itertools.product(range(4), range(3)))


def test_a_grid_whose_every_trial_fails_is_walked_too(tmp_path: Path) -> None:
    session = session_of(conditional, tmp_path, max_consecutive_failed_trials=100)
    while (trial := session.propose()) is not None:
        session.end(trial, status=TrialStatus.FAILED)
    assert len({str(trial.values) for trial in session.trials}) == len(session.trials) == 6


def test_hyperparameters_that_are_not_tuned_keep_their_defaults(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(hp.Choice("untuned", [5, 6]) + hp.Choice("tuned", [1, 2, 3]))

    session = session_of(build, tmp_path, known=lambda hp: hp.Choice("tuned", [1, 2, 3]), tune_new_entries=False)
    session.run(100)
    assert [values["tuned"] for values in used(session)] == [1, 2, 3]
    assert {values["untuned"] for values in used(session)} == {5}


def test_max_trials_end_the_walk(tmp_path: Path) -> None:
    assert len(session_of(dynamic, tmp_path, max_trials=3).run(100)) == 3


def test_a_choice_of_anything_is_walked(tmp_path: Path) -> None:
    def build(hp: Any) -> float:
        return float(len(str(hp.Choice("c", [None, True, 1, (1, 2), "x"]))))

    session = session_of(build, tmp_path)
    session.run(2)
    session = session_of(build, tmp_path)
    session.run(100)
    assert [values["c"] for values in used(session)] == [None, True, 1, (1, 2), "x"]


def test_the_ten_points_of_an_axis_are_announced() -> None:
    def build(hp: Any) -> None:
        hp.Float("momentum", 0.0, 1.0)
        hp.Float("rate", 0.0, 1.0, step=0.5)

    notes = GridSearchOracle(objective="loss", hyperparameters=space_of(build)).notes()
    assert any("momentum" in note and "10" in note for note in notes)
    assert not any("rate" in note for note in notes)


def test_without_hyperparameters_there_is_one_trial(tmp_path: Path) -> None:
    assert session_of(lambda hp: 1.0, tmp_path).run(5) == [{}]
