from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.plugins.hparams import api_pb2

from kt_suite.errors import InputError
from kt_suite.loggers import SearchInfo
from kt_suite.loggers.layout import search_directory
from kt_suite.loggers.tensorboard import TensorBoardLogger, rebuild
from kt_suite.trial import Report, TrialRecord, TrialStatus
from tests.unit.loggers.fake_search import SPACE, entry, make_info, make_reports, make_trial, play, play_trial
from tests.unit.loggers.log_reader import Run, read_config, read_log

FAILURE = 'Traceback (most recent call last):\n  File "model.py", line 1\nValueError: <b>no</b>'


def failed(number: int, **changes: Any) -> TrialRecord:
    return make_trial(number, status=TrialStatus.FAILED, score=None, message=FAILURE, **changes)


def read_search(logdir: Path, info: SearchInfo) -> dict[str, Run]:
    return read_log(search_directory(info, logdir))


def test_a_trial_has_its_values_curves_and_result(tmp_path: Path) -> None:
    trial = make_trial(3)
    play(TensorBoardLogger(tmp_path), make_info(), [trial])
    run = read_search(tmp_path, make_info())["trial_0003"]
    assert run.values == trial.values
    assert run.starts[0].group_name.startswith("0003 · digits · ")
    assert run.scalars["accuracy/validation"] == [
        (0, pytest.approx(0.863)),
        (1, pytest.approx(0.883)),
        (2, pytest.approx(0.903)),
    ]
    assert set(run.scalars) == {
        *("loss/train", "loss/validation", "accuracy/train", "accuracy/validation"),
        *("objective", "epochs", "seconds"),
    }
    assert run.scalars["objective"] == [(3, pytest.approx(0.903, abs=1e-6))]
    assert run.scalars["epochs"] == [(3, 3)]
    assert run.scalars["seconds"] == [(3, 10)]
    assert [end.status for end in run.ends] == [api_pb2.STATUS_SUCCESS]
    assert run.wall_times == [trial.started + second for second in (1, 2, 3) for _ in range(4)] + [trial.ended] * 3


def test_a_failed_trial_is_marked_and_has_no_result(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [failed(0)])
    run = read_search(tmp_path, make_info())["trial_0000"]
    assert [end.status for end in run.ends] == [api_pb2.STATUS_FAILURE]
    assert not {"objective", "epochs", "seconds"} & set(run.scalars)
    ((_, text),) = run.texts["failure"]
    assert text.splitlines() == [f"    {line}" for line in FAILURE.splitlines()]


def test_a_trial_that_fails_before_its_first_epoch_is_shown(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [failed(0)], reports=lambda _: [])
    run = read_search(tmp_path, make_info())["trial_0000"]
    assert run.values == make_trial(0).values
    assert [end.status for end in run.ends] == [api_pb2.STATUS_FAILURE]


def test_a_pruned_trial_is_neither_success_nor_failure(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0, status=TrialStatus.PRUNED, score=None)])
    run = read_search(tmp_path, make_info())["trial_0000"]
    assert [end.status for end in run.ends] == [api_pb2.STATUS_UNKNOWN]
    assert "objective" not in run.scalars


def test_values_found_while_the_model_is_built_are_written(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info(space=SPACE[:1]))
    trial = make_trial(0)
    final, trial.values = trial.values, {"learning_rate": 1e-4}
    logger.on_trial_begin(trial)
    logger.on_space(SPACE)
    trial.values = final
    for report in make_reports(trial):
        logger.on_report(trial, report)
    logger.on_trial_end(trial)
    logger.on_search_end("done")
    assert read_search(tmp_path, make_info())["trial_0000"].values == final
    assert {info.name for info in read_config(tmp_path).hparam_infos} == {item["config"]["name"] for item in SPACE}


def test_values_that_a_trial_did_not_use_are_no_part_of_its_row(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    for trial in (
        make_trial(0),
        replace(make_trial(1), used=[name for name in make_trial(1).values if name != "units"]),
    ):
        play_trial(logger, trial, make_reports(trial))
    logger.on_search_end("done")
    assert "units" in read_search(tmp_path, make_info())["trial_0000"].values
    assert "units" not in read_search(tmp_path, make_info())["trial_0001"].values
    # So that it does not crowd out those that all trials have.
    assert "units" not in {info.name for info in read_config(tmp_path).hparam_infos if info.differs}


def test_hyperparameters_found_by_a_later_trial_get_columns(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    space = list(SPACE)
    logger.on_search_begin(make_info(space=space))
    play_trial(logger, make_trial(0), make_reports(make_trial(0)))
    space.append(entry("Boolean", "late"))  # the list belongs to the search
    logger.on_space(space)
    trial = make_trial(1, values={**make_trial(1).values, "late": True})
    play_trial(logger, trial, make_reports(trial))
    logger.on_search_end("done")
    assert "late" in {info.name for info in read_config(tmp_path).hparam_infos}
    texts = read_search(tmp_path, make_info())["_search"].texts["search/summary"]
    assert ["late" in text for _, text in texts] == [False, True]


def test_the_log_can_be_read_while_a_trial_runs(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    trial = make_trial(0, status=TrialStatus.RUNNING, score=None)
    logger.on_trial_begin(trial)
    logger.on_report(trial, make_reports(trial)[0])
    run = read_search(tmp_path, make_info())["trial_0000"]
    assert (run.starts, run.ends) == ([], [])  # not yet a row of the HParams tab
    assert len(run.scalars["loss/train"]) == 1
    assert read_config(tmp_path).metric_infos[1].name.tag == "accuracy/validation"
    logger.on_search_end("done")


def test_runs_of_a_trial_are_one_group_with_one_result(tmp_path: Path) -> None:
    play(
        TensorBoardLogger(tmp_path),
        make_info(runs_per_trial=3),
        [make_trial(0)],
        reports=lambda trial: make_reports(trial, runs=(0, 1, 2)),
    )
    log = read_search(tmp_path, make_info())
    runs = [log["trial_0000"], log["trial_0000/exec_1"], log["trial_0000/exec_2"]]
    assert len({run.starts[0].group_name for run in runs}) == 1
    assert all(run.values == make_trial(0).values for run in runs)
    assert [len(run.scalars["loss/train"]) for run in runs] == [3, 3, 3]
    assert ["objective" in run.scalars for run in runs] == [True, False, False]
    assert [run.ends[0].status for run in runs] == [api_pb2.STATUS_SUCCESS] * 3


def test_the_first_run_may_report_last(tmp_path: Path) -> None:
    play(
        TensorBoardLogger(tmp_path),
        make_info(),
        [make_trial(0)],
        reports=lambda trial: make_reports(trial, runs=(1, 0)),
    )
    log = read_search(tmp_path, make_info())
    assert all(len(log[name].starts) == 1 for name in ("trial_0000", "trial_0000/exec_1"))


def test_a_retry_has_a_run_and_a_group_of_its_own(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    play_trial(logger, failed(0), make_reports(make_trial(0))[:1], will_retry=True)
    retry = make_trial(0, attempt=2)
    play_trial(logger, retry, make_reports(retry))
    logger.on_search_end("done")
    log = read_search(tmp_path, make_info())
    first, second = log["trial_0000"], log["trial_0000/retry_1"]
    assert [run.ends[0].status for run in (first, second)] == [api_pb2.STATUS_FAILURE, api_pb2.STATUS_SUCCESS]
    assert first.starts[0].group_name != second.starts[0].group_name
    assert len(first.scalars["loss/train"]), len(second.scalars["loss/train"]) == (1, 3)
    assert log["_search"].scalars["search/failed"] == [(0, 0.0)]


def test_trials_that_run_at_once_do_not_mix(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    trials = [make_trial(0), make_trial(1)]
    for trial in trials:
        logger.on_trial_begin(trial)
    for reports in zip(*map(make_reports, trials), strict=True):
        for trial, report in zip(trials, reports, strict=True):
            logger.on_report(trial, report)
    for trial in reversed(trials):
        logger.on_trial_end(trial)
    logger.on_search_end("done")
    log = read_search(tmp_path, make_info())
    for trial in trials:
        assert log[f"trial_{trial.trial_id}"].values == trial.values
        assert log[f"trial_{trial.trial_id}"].scalars["accuracy/validation"][-1] == (
            2,
            pytest.approx(trial.score),
        )


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None, 1e300])
def test_scores_that_cannot_be_drawn_are_left_out(score: float | None, tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [replace(make_trial(0), score=score)], reports=lambda _: [])
    log = read_search(tmp_path, make_info())
    assert "objective" not in log["trial_0000"].scalars
    assert "search/objective" not in log["_search"].scalars


def test_metrics_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    reports = [
        Report(0, 0, {"loss": math.nan, "a": 1.0}),
        Report(0, 1, {"loss": math.inf}),
        Report(0, 2, {"loss": 1.0}),
    ]
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0)], reports=lambda _: reports)
    scalars = read_search(tmp_path, make_info())["trial_0000"].scalars
    assert scalars["loss/train"] == [(2, 1.0)]
    assert scalars["a/train"] == [(0, 1.0)]


def test_the_learning_rate_is_no_training_metric(tmp_path: Path) -> None:
    reports = [Report(0, 0, {"learning_rate": 0.5})]
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0)], reports=lambda _: reports)
    assert read_search(tmp_path, make_info())["trial_0000"].scalars["learning_rate"] == [(0, 0.5)]


def test_the_search_has_one_point_a_trial(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(1), failed(2), make_trial(0)])
    scalars = read_search(tmp_path, make_info())["_search"].scalars
    assert scalars["search/objective"] == [(0, pytest.approx(0.901)), (2, pytest.approx(0.9))]
    assert scalars["search/best"] == [(step, pytest.approx(0.901)) for step in range(3)]
    assert scalars["search/failed"] == [(0, 0), (1, 1), (2, 1)]


def test_the_best_of_a_minimised_objective_falls(tmp_path: Path) -> None:
    info = make_info(objective="val_loss", direction="min")
    play(TensorBoardLogger(tmp_path), info, [make_trial(1), make_trial(0), make_trial(2)])
    best = read_search(tmp_path, info)["_search"].scalars["search/best"]
    assert [value for _, value in best] == pytest.approx([0.901, 0.9, 0.9])
    assert read_config(tmp_path).metric_infos[1].name.tag == "loss/validation"


def test_texts_show_names_and_values_as_they_are(tmp_path: Path) -> None:
    name = "a|b <script>alert(1)</script> *x*"
    info = make_info(name, facts={"note": "# no\nheading"}, space=[entry("Choice", name, values=[name, None])])
    play(TensorBoardLogger(tmp_path), info, [make_trial(0, values={name: name})])
    for text in (text for texts in read_search(tmp_path, info)["_search"].texts.values() for _, text in texts):
        assert "<script" not in text
        assert "*x*" not in text.replace("\\*", "")
        assert all(line.replace("\\|", "").count("|") in (0, 3, 4) for line in text.splitlines())
        assert not any(line.startswith(("heading", "# no")) for line in text.splitlines())


def test_the_summary_shows_facts_and_no_bookkeeping(tmp_path: Path) -> None:
    facts = {
        "oracle": "GridSearchOracle",
        "versions": {"keras": 3, "numpy": 2},
        "notes": ["a", "b"],
        "process": 4711,
    }
    play(TensorBoardLogger(tmp_path), make_info(facts=facts), [make_trial(0)])
    log = read_search(tmp_path, make_info())["_search"]
    ((_, summary),) = log.texts["search/summary"]
    assert "| oracle | GridSearchOracle |" in summary
    assert "| versions | keras 3, numpy 2 |" in summary
    assert "| notes | a; b |" in summary
    assert "4711" not in summary
    assert "| learning\\_rate | 0.0001 to 0.1, log |  |" in summary
    assert "| momentum | 0.0 to 0.9 | optimizer = sgd |" in summary
    ((step, result),) = log.texts["search/result"]
    assert step == 1
    assert "| best trial | 0000 |" in result


def test_an_interrupted_trial_is_no_failure(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    trial = make_trial(0, status=TrialStatus.IDLE, score=None, message="Not finished: interrupted.")
    play_trial(logger, trial, make_reports(trial)[:1], will_retry=True)
    logger.on_search_end("interrupted")
    log = read_search(tmp_path, make_info())
    assert [end.status for end in log["trial_0000"].ends] == [api_pb2.STATUS_UNKNOWN]
    assert log["trial_0000"].texts == {}
    assert "search/failed" not in log["_search"].scalars


def test_a_resumed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    trials = [make_trial(0), make_trial(1)]
    for trial in trials:
        play_trial(logger, trial, make_reports(trial))
    interrupted = make_trial(2, status=TrialStatus.RUNNING, score=None, ended=None)
    logger.on_trial_begin(interrupted)
    logger.on_report(interrupted, make_reports(interrupted)[0])  # and here it is killed
    again = make_trial(2, attempt=2, score=0.95)
    play(TensorBoardLogger(tmp_path), make_info(trials=[*trials, interrupted]), [again])
    logger.on_search_end("closes its files")
    log = read_search(tmp_path, make_info())
    assert log["_search"].scalars["search/objective"] == [
        (0, pytest.approx(0.9)),
        (1, pytest.approx(0.901)),
        (2, pytest.approx(0.95)),
    ]
    assert [step for step, _ in log["_search"].scalars["search/best"]] == [0, 1, 2]
    assert log["trial_0002"].ends == []
    assert log["trial_0002/retry_1"].scalars["objective"] == [(2, pytest.approx(0.95))]
    assert log["trial_0002"].starts == []  # no row: only the attempt that ended is one
    assert len(log["trial_0002/retry_1"].starts) == 1


def test_an_attempt_that_a_killed_search_has_logged_is_not_written_into(tmp_path: Path) -> None:
    for _ in range(2):
        logger = TensorBoardLogger(tmp_path)
        logger.on_search_begin(make_info())
        logger.on_report(make_trial(0), make_reports(make_trial(0))[0])
        logger.on_search_end("killed")
    log = read_search(tmp_path, make_info())
    assert {name: len(log[name].scalars["loss/train"]) for name in log if name.startswith("trial")} == {
        "trial_0000": 1,
        "trial_0000/retry_1": 1,
    }


def test_a_search_killed_before_it_logged_a_stored_trial_logs_it_when_resumed(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.on_search_begin(make_info())
    play_trial(logger, make_trial(0), make_reports(make_trial(0)))
    logger.on_report(make_trial(1), make_reports(make_trial(1))[0])
    logger.on_search_end("killed")
    play(TensorBoardLogger(tmp_path), make_info(trials=[make_trial(0), make_trial(1)]), [make_trial(2)])
    log = read_search(tmp_path, make_info())
    assert [step for step, _ in log["_search"].scalars["search/objective"]] == [0, 1, 2]
    assert log["trial_0001"].scalars["objective"] == [(1, pytest.approx(0.901))]
    assert len({start.group_name for start in log["trial_0001"].starts}) == 1


def test_a_resumed_search_that_trains_nothing_keeps_its_columns(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0)])
    before = read_config(tmp_path)
    play(TensorBoardLogger(tmp_path), make_info(trials=[make_trial(0)]), [failed(1)], reports=lambda _: [])
    assert read_config(tmp_path) == before


def test_two_searches_in_one_log_directory_stay_apart(tmp_path: Path) -> None:
    other = make_info("other", space=[entry("Int", "depth", min_value=1, max_value=5)])
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0)])
    play(TensorBoardLogger(tmp_path), other, [make_trial(0, values={"depth": 2})])
    runs = [run for run in read_log(tmp_path).values() if run.starts]
    assert len({run.starts[0].group_name for run in runs}) == len(runs) == 2
    assert {"depth", "units"} <= {info.name for info in read_config(tmp_path).hparam_infos}


def test_a_name_that_another_search_has_with_another_type_gets_a_column_of_its_own(tmp_path: Path) -> None:
    other = make_info("other", space=[entry("Choice", "units", values=["few", "many"]), *SPACE[:1]])
    values = {"units": "few", "learning_rate": 0.01}
    column = f"units ({search_directory(other, '').name})"
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0)])
    play(TensorBoardLogger(tmp_path), other, [make_trial(0, values=values)])
    play(TensorBoardLogger(tmp_path), make_info(trials=[make_trial(0)]), [make_trial(1)])
    play(TensorBoardLogger(tmp_path), replace(other, trials=[make_trial(0)]), [make_trial(1, values=values)])
    for number in (0, 1):
        assert read_search(tmp_path, make_info())[f"trial_000{number}"].values["units"] == 8 * (number + 1)
        shown = read_search(tmp_path, other)[f"trial_000{number}"].values
        assert shown == {column: "few", "learning_rate": 0.01}
    columns = {info.name: info for info in read_config(tmp_path).hparam_infos}
    assert {"units", column} <= set(columns)
    assert [name for name, info in columns.items() if info.differs] == ["learning_rate"]


def test_remote_log_directories_are_refused() -> None:
    with pytest.raises(InputError, match="must be local, but got 'gs://bucket/logs'"):
        TensorBoardLogger("gs://bucket/logs")


def summary_of(run: Run) -> tuple[Any, ...]:
    return (
        run.scalars,
        [str(start) for start in run.starts],
        [str(end) for end in run.ends],
        run.texts.get("failure"),
    )


def test_a_rebuilt_log_is_the_live_one(tmp_path: Path) -> None:
    trials = [make_trial(0), failed(1), make_trial(2, status=TrialStatus.PRUNED, score=None), make_trial(3)]
    play(TensorBoardLogger(tmp_path / "live"), make_info(), trials)
    curves = {trial.trial_id: make_reports(trial) for trial in trials}
    rebuild(make_info(trials=trials), curves.__getitem__, tmp_path / "again")
    live, again = read_search(tmp_path / "live", make_info()), read_search(tmp_path / "again", make_info())
    assert set(live) == set(again)
    assert all(summary_of(live[name]) == summary_of(again[name]) for name in live)
    assert read_config(tmp_path / "live") == read_config(tmp_path / "again")


def test_rebuilding_replaces_our_files_and_no_others(tmp_path: Path) -> None:
    play(TensorBoardLogger(tmp_path), make_info(), [make_trial(0), make_trial(1)])
    foreign = search_directory(make_info(), tmp_path) / "trial_0001" / "train" / "events.out.tfevents.1.host.v2"
    foreign.parent.mkdir()
    foreign.touch()
    other = make_info("other")
    play(TensorBoardLogger(tmp_path), other, [make_trial(0)])
    directory = rebuild(make_info(trials=[make_trial(0)]), lambda _: make_reports(make_trial(0)), tmp_path)
    assert directory == search_directory(make_info(), tmp_path)
    assert foreign.exists()
    assert len(read_search(tmp_path, make_info())["trial_0000"].starts) == 1
    assert not list((directory / "trial_0001").glob("*.kt_suite"))
    assert "trial_0000" in read_search(tmp_path, other)


def test_rebuilding_shows_earlier_attempts_and_trials_that_have_not_ended(tmp_path: Path) -> None:
    retried = make_trial(0, attempt=2)
    unfinished = make_trial(1, status=TrialStatus.RUNNING, score=None, ended=None)
    curves = {
        "0000": [*make_reports(make_trial(0))[:1], *make_reports(retried)],
        "0001": make_reports(unfinished)[:2],
    }
    rebuild(make_info(trials=[unfinished, retried]), curves.__getitem__, tmp_path)
    log = read_search(tmp_path, make_info())
    assert [len(log[name].scalars["loss/train"]) for name in ("trial_0000", "trial_0000/retry_1", "trial_0001")] == [
        1,
        3,
        2,
    ]
    assert [len(log[name].ends) for name in ("trial_0000", "trial_0000/retry_1", "trial_0001")] == [0, 1, 0]
    assert log["_search"].scalars["search/objective"] == [(0, pytest.approx(0.9))]
