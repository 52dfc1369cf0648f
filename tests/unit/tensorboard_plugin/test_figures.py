from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_search import NUM_EPOCHS, SPACE, made_trials, store

from kt_suite.pareto import non_dominated
from kt_suite.report.importance import main_effects
from kt_suite.storage import FILE_NAME
from kt_suite_tensorboard.figures import VIEWS
from kt_suite_tensorboard.figures.dimension import INACTIVE, dimensions
from kt_suite_tensorboard.figures.pareto import front
from kt_suite_tensorboard.figures.view import shade
from kt_suite_tensorboard.search import Search
from kt_suite_tensorboard.search_file import SearchFile


def search_of(directory: Path, trials: list[Any], **facts: Any) -> Search:
    store(directory, trials, **facts)
    return SearchFile(directory / FILE_NAME).read()


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return search_of(tmp_path / "s", made_trials(30))


def draw(name: str, search: Search, **options: str) -> dict[str, Any]:
    view = VIEWS[name][1]([search], options).to_json()
    json.dumps(view, allow_nan=False)
    return view


def ids(view: dict[str, Any]) -> set[str]:
    return {id for trace in view["data"] for id in trace.get("customdata", []) if id is not None}


def with_status(search: Search, status: str) -> set[str]:
    return {trial.trial_id for trial in search.trials if trial.status == status}


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_of_a_search_without_trials_says_why_it_is_empty(name: str, tmp_path: Path) -> None:
    view = draw(name, search_of(tmp_path / "empty", [], space=[]))
    assert view["note"]


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_draws_a_search_of_one_trial_or_says_why_not(name: str, tmp_path: Path) -> None:
    view = draw(name, search_of(tmp_path / "one", made_trials(1)))
    assert view["data"] or view["note"]


def test_curves_of_pruned_trials_end_where_they_were_pruned(search: Search) -> None:
    view = draw("curves", search)
    pruned = next(trace for trace in view["data"] if trace["name"] == "pruned")
    assert set(pruned["customdata"]) - {None} == with_status(search, "PRUNED")
    assert max(epoch for epoch in pruned["x"] if epoch is not None) == 2
    assert next(trace for trace in view["data"] if trace["name"] == "pruned here")["x"] == [2, 2, 2]
    completed = next(trace for trace in view["data"] if trace["name"] == "completed")
    assert max(epoch for epoch in completed["x"] if epoch is not None) == NUM_EPOCHS


def test_curves_end_at_the_stored_score(search: Search) -> None:
    completed = next(trace for trace in draw("curves", search)["data"] if trace["name"] == "completed")
    trial = search.ranked()[0]
    points = zip(completed["customdata"], completed["x"], completed["y"], strict=True)
    last = [y for id, x, y in points if (id, x) == (trial.trial_id, NUM_EPOCHS)]
    assert len(last) == 2
    assert np.mean(last) == pytest.approx(trial.score)


def test_curves_can_be_coloured_by_value_and_limited(search: Search) -> None:
    view = draw("curves", search, color="value", trials="all")
    assert ids(view) == with_status(search, "COMPLETED") | with_status(search, "PRUNED")
    assert len(view["data"]) == 6 + 2
    assert "left out" in draw("curves", replace(search, trials=search.trials * 4), trials="30")["note"]


def test_axes_are_logarithmic_where_the_space_says_so_and_have_a_tick_for_the_inactive(search: Search) -> None:
    found = {dimension.name: dimension for dimension in dimensions(search)}
    rate = found["learning_rate"]
    assert rate.is_log
    assert (rate.low, rate.high) == (-4.0, -1.0)
    assert rate.ticks()[1] == ["0.0001", "0.001", "0.01", "0.1"]
    momentum = found["momentum"]
    assert momentum.ticks()[1][0] == INACTIVE
    adam = next(trial for trial in search.trials if trial.values["optimizer"] == "adam")
    assert momentum.position(adam) == momentum.inactive < momentum.low
    assert found["optimizer"].categories == ("adam", "sgd")


def test_parallel_coordinates_hold_every_completed_trial(search: Search) -> None:
    view = draw("parallel", search)
    assert ids(view) == with_status(search, "COMPLETED")
    names = [*(entry["config"]["name"] for entry in SPACE), "val_accuracy"]
    assert view["layout"]["xaxis"]["ticktext"] == names
    passed = passes(view)
    best = search.ranked()[0]
    assert max(passed, key=lambda trial_id: passed[trial_id][-1]) == best.trial_id
    for trial in search.scored:
        rate = passed[trial.trial_id][names.index("learning_rate")]
        # The axis goes from -4 to -1, with a margin of 0.04 of that.
        assert rate == pytest.approx((math.log10(trial.values["learning_rate"]) + 4.12) / 3.24, abs=1e-4)
        assert (passed[trial.trial_id][names.index("momentum")] < 0.1) == (trial.values["optimizer"] == "adam")


def test_the_best_lines_of_parallel_coordinates_are_the_brightest_and_on_top(search: Search) -> None:
    data = draw("parallel", search)["data"]
    assert data[-1]["line"]["color"] == shade(1.0)
    assert search.ranked()[0].trial_id in data[-1]["customdata"]
    assert data[0]["line"]["color"] == shade(0.0)
    assert search.ranked()[-1].trial_id in data[0]["customdata"]


def passes(view: dict[str, Any]) -> dict[str, list[float]]:
    """Returns where the line of each trial passes the axes."""
    found: dict[str, list[float]] = {}
    for trace in view["data"]:
        for trial_id, y in zip(trace["customdata"], trace["y"], strict=True):
            if trial_id is not None:
                found.setdefault(trial_id, []).append(y)
    return found


def test_curves_of_several_runs_are_named_and_can_be_averaged(tmp_path: Path) -> None:
    trials = made_trials(10)
    for trial in trials:
        trial.runs = [replace(run, fold=run.index, repeat=0) for run in trial.runs]
    search = search_of(tmp_path / "f", trials)
    completed = next(trace for trace in draw("curves", search)["data"] if trace["name"] == "completed")
    assert any(label.startswith("fold 1 of trial 0000") for label in completed["text"])
    assert not any("repeat" in label for label in completed["text"])
    means = next(trace for trace in draw("curves", search, runs="mean of the runs")["data"])
    points = zip(means["customdata"], means["x"], means["y"], strict=True)
    last = {trial_id: y for trial_id, x, y in points if x == NUM_EPOCHS}
    assert last == pytest.approx({trial.trial_id: trial.score for trial in search.scored})
    assert any(label.startswith("mean of 2 runs of trial 0000") for label in means["text"])


def test_the_spread_is_the_standard_error_of_the_mean(search: Search) -> None:
    trial = search.ranked()[0]
    scores = [run.score for run in trial.runs]
    assert trial.standard_error == pytest.approx(np.std(scores, ddof=1) / math.sqrt(2))
    bars = draw("history", search)["data"][0]["error_y"]["array"]
    assert trial.standard_error in bars


def test_a_trial_that_is_left_out_can_be_brought_in(search: Search) -> None:
    many = replace(search, trials=[replace(t, number=i) for i, t in enumerate(search.trials * 2)])
    worst = search.ranked()[-1].trial_id
    view = draw("curves", many, trials="30")
    assert view["is_sample"]
    assert worst not in ids(view)
    assert worst in ids(draw("curves", many, trials="30", marked=worst))


def test_a_slice_holds_every_ended_trial(search: Search) -> None:
    for name in ("learning_rate", "optimizer", "momentum"):
        assert ids(draw("slice", search, parameter=name)) == {trial.trial_id for trial in search.trials}


def test_a_contour_passes_near_the_scores(search: Search) -> None:
    view = draw("contour", search, x="learning_rate", y="units")
    surface = np.array(view["data"][0]["z"])
    scores = [trial.score or 0.0 for trial in search.scored]
    assert surface.shape == (30, 30)
    assert min(scores) - 1e-9 <= surface.min() < surface.max() <= max(scores) + 1e-9


def test_the_timeline_shows_attempts_that_were_tried_again(search: Search) -> None:
    view = draw("timeline", search)
    assert view["layout"]["yaxis"]["ticktext"] == ["slot0", "slot1"]
    retried = next(trace for trace in view["data"] if trace["name"] == "tried again")
    assert set(retried["customdata"]) - {None} == {"0007", "0017", "0027"}
    seconds = 60 if view["layout"]["xaxis"]["title"]["text"].startswith("minutes") else 1
    assert (retried["x"][2] - retried["x"][0]) * seconds == pytest.approx(3)
    failed = next(trace for trace in view["data"] if trace["name"] == "failed")
    assert set(failed["customdata"]) - {None} == with_status(search, "FAILED")


def test_rungs_link_a_trial_to_the_one_it_was_promoted_to(tmp_path: Path) -> None:
    trials = made_trials(12, with_rungs=True)
    trials[8].parent = "0000"
    view = draw("rungs", search_of(tmp_path / "h", trials))
    lines = [trace for trace in view["data"] if trace["mode"] == "lines"]
    assert lines[0]["y"][:2] == [trials[0].score, trials[8].score]
    assert view["layout"]["xaxis"]["ticktext"] == ["1", "3", "9"]
    assert view["note"].startswith("bracket 0: 2 → 2 → 2 trials")


def test_the_front_is_that_of_the_library() -> None:
    losses = np.random.default_rng(0).integers(0, 12, (60, 2))
    assert sorted(front([tuple(loss) for loss in losses])) == np.flatnonzero(non_dominated(losses)).tolist()


def test_the_pareto_view_takes_the_objectives_of_the_search(tmp_path: Path) -> None:
    objectives = [["val_accuracy", "max"], ["loss", "min"]]
    search = search_of(tmp_path / "p", made_trials(20), objectives=objectives)
    view = draw("pareto", search)
    assert [choice["value"] for choice in view["choices"]] == ["loss", "less", "val_accuracy", "more"]
    best = view["data"][-1]
    assert search.ranked()[0].trial_id in best["customdata"]
    assert ids(view) == with_status(search, "COMPLETED")


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    search = search_of(tmp_path / "i", made_trials(120))
    bars = draw("importance", search)["data"][0]
    shares = dict(zip(bars["text"], bars["x"], strict=True))
    assert max(shares, key=lambda name: shares[name]) == "learning_rate"
    assert sum(shares.values()) == pytest.approx(1.0)
    assert all(deviation >= 0 for deviation in bars["error_x"]["array"][1:])


def test_main_effects_of_a_sum_are_its_variances() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(800, 3))
    shares, deviations = main_effects(points, 2 * points[:, 0] + points[:, 1])
    np.testing.assert_allclose(shares, [0.8, 0.2, 0.0], atol=0.06)
    assert (deviations < 0.1).all()


def test_main_effects_of_equal_losses_are_zero() -> None:
    shares, deviations = main_effects(np.random.default_rng(0).uniform(size=(20, 2)), np.ones(20))
    assert not shares.any()
    assert not deviations.any()


def test_names_are_escaped_wherever_plotly_reads_them(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>"
    entry = {"class_name": "Choice", "config": {"name": nasty, "values": [nasty, "b"], "conditions": []}}
    trials = made_trials(20)
    for trial in trials:
        trial.values = {nasty: [nasty, "b"][trial.number % 2], **trial.values}
        trial.used = None
    search = search_of(tmp_path / "n", trials, space=[entry, *SPACE], objective="val_accuracy", name=nasty)
    for name in VIEWS:
        view = draw(name, search)
        for trace in view["data"]:
            for dimension in trace.get("dimensions", []):
                dimension.pop("ticktext", None)  # set as text by Plotly
        assert "<script>" not in json.dumps([view["data"], view["layout"]])
    assert nasty in json.dumps(draw("slice", search)["choices"])  # these are set as text by the page


def test_a_name_under_two_conditions_is_one_axis(tmp_path: Path) -> None:
    other = {**SPACE[3], "config": {**SPACE[3]["config"], "max_value": 128}}
    search = search_of(tmp_path / "t", made_trials(10), space=[*SPACE, other])
    units = [dimension for dimension in dimensions(search) if dimension.name == "units"]
    assert [(one.low, one.high) for one in units] == [(8.0, 128.0)]


def test_values_outside_the_space_still_have_a_place(tmp_path: Path) -> None:
    trials = made_trials(10)
    trials[0].values["optimizer"], trials[0].values["learning_rate"] = "lion", 0.5
    search = search_of(tmp_path / "o", trials)
    found = {dimension.name: dimension for dimension in dimensions(search)}
    assert found["optimizer"].categories == ("adam", "sgd", "lion")
    assert found["learning_rate"].position(search.trials[0]) == pytest.approx(math.log10(0.5))
