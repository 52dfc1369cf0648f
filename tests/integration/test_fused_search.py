"""Searches whose trials train side by side come to what those come to whose trials train one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.executors.fused.executor import FusedExecutor
from kt_suite.trial import Report, TrialStatus

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X[:, :1] * X[:, 1:2] > 0).astype("int32")[:, 0]
DATA: dict[str, Any] = {"x": X[:24], "y": Y[:24], "validation_data": (X[24:], Y[24:]), "verbose": 0, "shuffle": False}


def build(hp: Any) -> Any:
    units = hp.Int("units", 2, 6)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "tanh"), keras.layers.Dense(2, "softmax")])
    model.compile(
        keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "sparse_categorical_crossentropy"
    )
    return model


def search(
    tmp_path: Path, executor: Any, hypermodel: Any = build, tuner: Any = kts.RandomSearch, **options: Any
) -> Any:
    name = executor if isinstance(executor, str) else "own"
    arguments = {**DATA, "epochs": 3, **options.pop("fit", {})}
    if tuner is kts.RandomSearch:
        options.setdefault("max_trials", 4)
    made = tuner(
        hypermodel,
        objective="val_loss",
        seed=options.pop("seed", 1),
        executor=executor,
        directory=tmp_path,
        project_name=options.pop("name", name),
        tensorboard=options.pop("tensorboard", None),
        **options,
    )
    made.search(**arguments)
    return made


def rows(tuner: Any) -> dict[str, tuple[str, int, Any]]:
    return {row["trial_id"]: (row["status"], row["epochs"], row["score"]) for row in tuner.results()}


def curves(tuner: Any) -> dict[str, list[tuple[int, int, list[str]]]]:
    stored = tuner._stored()
    return {
        trial.trial_id: [(one.run, one.epoch, sorted(one.metrics)) for one in stored.reports(trial.trial_id)]
        for trial in stored.trials()
    }


def values(tuner: Any) -> list[float]:
    stored = tuner._stored()
    reports: list[Report] = [one for trial in stored.trials() for one in stored.reports(trial.trial_id)]
    return [value for one in reports for _, value in sorted(one.metrics.items())]


def assert_equal(fused: Any, inline: Any) -> None:
    assert curves(fused) == curves(inline)
    assert values(fused) == pytest.approx(values(inline), rel=2e-3, abs=1e-5)
    for trial_id, (status, epochs, score) in rows(inline).items():
        assert rows(fused)[trial_id] == (status, epochs, pytest.approx(score, rel=1e-3))


def callbacks() -> list[Any]:
    return [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * (0.5 if epoch == 2 else 1.0)),
        keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=10.0),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True),
        keras.callbacks.TerminateOnNaN(),
    ]


class WarmUp(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 0.01 * (batch + 1 + self.epoch)


def test_callbacks_and_runs_act_as_inline(tmp_path: Path) -> None:
    options: dict[str, Any] = {"executions_per_trial": 2, "fit": {"callbacks": callbacks, "epochs": 5, "batch_size": 8}}
    fused, inline = (search(tmp_path, name, **options) for name in ("fused", "inline"))
    assert "4 trials in one program" in fused.explain_execution()
    assert_equal(fused, inline)


def test_rates_that_a_callback_sets_before_each_batch_are_told_ahead(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_trials": 2, "fit": {"callbacks": [WarmUp()], "batch_size": 8, "epochs": 2}}
    fused, inline = (search(tmp_path, name, **options) for name in ("fused", "inline"))
    assert "2 trials in one program" in fused.explain_execution()
    assert_equal(fused, inline)


def test_promotions_of_hyperband_go_on_with_weights_and_optimizer(tmp_path: Path) -> None:
    fused = search(tmp_path, "fused", tuner=kts.Hyperband, max_epochs=4, factor=2)
    assert "trials in one program" in fused.explain_execution()
    promoted = [trial for trial in fused.oracle.trials.values() if trial.record.parent is not None]
    assert promoted
    best = max(promoted, key=lambda trial: trial.record.budget)
    root = best
    while root.record.parent is not None:
        root = fused.oracle.trials[root.record.parent]
    keras.utils.set_random_seed(root.record.runs[0].seed)
    history = build(best.hyperparameters).fit(**{**DATA, "epochs": best.record.budget})
    reported = [one.metrics["val_loss"] for one in fused._stored().reports(best.trial_id)]
    assert reported == pytest.approx(history.history["val_loss"][-len(reported) :], rel=1e-3)


def test_half_of_the_trials_may_be_of_a_kind_that_cannot_be_fused(tmp_path: Path, capsys: Any) -> None:
    def mixed(hp: Any) -> Any:
        model = build(hp)
        if hp.Boolean("odd"):
            model = keras.Sequential(
                [keras.Input((4,)), *model.layers[:1], keras.layers.Lambda(_centred), model.layers[1]]
            )
            model.compile("adam", "sparse_categorical_crossentropy")
        return model

    tuner = search(tmp_path, "fused", mixed, max_trials=8, fit={"verbose": 1, "epochs": 1})
    assert {row["status"] for row in tuner.results()} == {TrialStatus.COMPLETED}
    odd = sum(row["values"]["odd"] for row in tuner.results())
    assert 0 < odd < 8
    assert f"{8 - odd} trials in one program" in tuner.explain_execution()
    assert f"{odd} trials one after the other" in tuner.explain_execution()
    assert capsys.readouterr().out.count("not fused") == 1


def _centred(x: Any) -> Any:
    return x - keras.ops.mean(x, axis=0, keepdims=True)  # rows depend on each other


@pytest.mark.slow
def test_a_group_that_is_too_large_is_split(tmp_path: Path) -> None:
    fused = search(tmp_path, FusedExecutor(memory_limit=6_000), max_trials=8, fit={"epochs": 2})
    inline = search(tmp_path, "inline", max_trials=8, fit={"epochs": 2})
    assert fused.executor._planner.num_lanes > 1
    assert_equal(fused, inline)


OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion", "Ftrl")


@pytest.mark.parametrize(
    "names", [("AdamW", "AdamW without biases"), pytest.param(OPTIMIZERS, marks=pytest.mark.slow)], ids=len
)
def test_optimizers_of_models_that_are_built_without_variables(tmp_path: Path, names: tuple[str, ...]) -> None:
    def build_with(hp: Any) -> Any:
        model = build(hp)
        kind, *without = hp.Choice("optimizer", list(names)).split(" without ")
        optimizer = getattr(keras.optimizers, kind)(hp.get("rate"), clipnorm=1.0, weight_decay=0.05)
        if without:
            optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model

    options: dict[str, Any] = {"tuner": kts.GridSearch, "fit": {"epochs": 2}}
    space = kts.HyperParameters()
    space.Choice("optimizer", list(names))
    options |= {"hyperparameters": space, "tune_new_entries": False}
    fused, inline = (search(tmp_path, name, build_with, **options) for name in ("fused", "inline"))
    assert len(rows(fused)) == len(names)
    assert "after the other" not in fused.explain_execution()
    assert_equal(fused, inline)


def test_a_model_that_the_engine_cannot_read_trains_by_itself(tmp_path: Path, monkeypatch: Any) -> None:
    from kt_suite.executors.fused import preparation

    def broken(model: Any) -> Any:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(preparation, "skeleton", broken)
    tuner = search(tmp_path, "fused", max_trials=2, fit={"epochs": 1})
    assert {row["status"] for row in tuner.results()} == {TrialStatus.COMPLETED}
    assert "RuntimeError: a defect of ours" in tuner.explain_execution()


def test_models_that_their_data_build_come_back(tmp_path: Path) -> None:
    def without_input(hp: Any) -> Any:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 6), "tanh"), keras.layers.Dense(2, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    tuner = search(tmp_path, "fused", without_input, max_trials=3, fit={"epochs": 1})
    assert "3 trials in one program" in tuner.explain_execution()
    (best,) = tuner.get_best_models()
    score = best.evaluate(X[24:], Y[24:], verbose=0)
    assert score == pytest.approx(tuner.results()[0]["score"], rel=1e-4)


def test_a_trial_that_fails_ends_no_other(tmp_path: Path) -> None:
    def build_or_fail(hp: Any) -> Any:
        if hp.Int("units", 2, 6) == 4:
            raise ValueError("on purpose")
        return build(hp)

    fused, inline = (
        search(tmp_path, name, build_or_fail, max_trials=6, fit={"epochs": 1}) for name in ("fused", "inline")
    )
    assert {trial: row[0] for trial, row in rows(fused).items()} == {
        trial: row[0] for trial, row in rows(inline).items()
    }
    assert TrialStatus.FAILED in {row[0] for row in rows(fused).values()}


class _Failing(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1 and self.model.layers[0].units == 4:
            raise ValueError("on purpose")


def test_a_callback_that_fails_ends_its_own_trial_only(tmp_path: Path) -> None:
    tuner = search(tmp_path, "fused", max_trials=5, fit={"callbacks": [_Failing()], "epochs": 2})
    for row in tuner.results():
        assert (row["status"] == TrialStatus.FAILED) == (row["values"]["units"] == 4)
    assert any(row["status"] == TrialStatus.FAILED for row in tuner.results())


def test_weights_of_the_best_trials_are_on_disk_and_no_others(tmp_path: Path) -> None:
    tuner = search(tmp_path, "fused", max_trials=6, keep_checkpoints=2, tensorboard=str(tmp_path / "logs"))
    files = {path.parent.parent.name.removeprefix("trial_") for path in tmp_path.rglob("checkpoint.weights.h5")}
    best = tuner.oracle.get_best_trials(2)
    assert files == {trial.trial_id for trial in best}
    for model, trial in zip(tuner.get_best_models(2), best, strict=True):
        assert float(model.evaluate(*DATA["validation_data"], verbose=0)) == pytest.approx(trial.score, rel=1e-4)
    assert len(list((tmp_path / "logs").rglob("trial_*"))) >= 6


def test_folds_are_slices_of_the_data(tmp_path: Path) -> None:
    fit = {"x": X, "y": Y, "validation_data": None, "epochs": 2}
    tuner = search(tmp_path, "fused", max_trials=2, cross_validation=2, fit=fit)
    assert "2 trials in one program" in tuner.explain_execution()
    for trial in tuner.oracle.trials.values():
        for run, plan in zip(trial.record.runs, tuner.run_plans(), strict=True):
            keras.utils.set_random_seed(run.seed)
            validation = (X[plan.validation_rows], Y[plan.validation_rows])
            options = {"epochs": 2, "shuffle": False, "verbose": 0, "validation_data": validation}
            history = build(trial.hyperparameters).fit(X[plan.rows], Y[plan.rows], **options)
            assert run.score == pytest.approx(min(history.history["val_loss"]), rel=1e-3)
    best = tuner.oracle.get_best_trials(1)[0]
    for model, plan, run in zip(tuner.cross_val_models(best), tuner.run_plans(), best.record.runs, strict=True):
        score = model.evaluate(X[plan.validation_rows], Y[plan.validation_rows], verbose=0)
        assert float(score) == pytest.approx(run.score, rel=1e-3)


class _Interrupting(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, "fused", fit={"callbacks": [_Interrupting()]})
    resumed, whole = search(tmp_path, "fused"), search(tmp_path, "fused", name="whole")
    assert rows(resumed) == {trial: (*row[:2], pytest.approx(row[2], rel=1e-4)) for trial, row in rows(whole).items()}


def test_what_acts_in_mid_epoch_has_the_search_train_inline_and_says_so(tmp_path: Path) -> None:
    class Batches(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    tuner = search(tmp_path, "fused", max_trials=1, fit={"callbacks": [Batches()], "epochs": 1})
    assert tuner.executor.name == "inline"
    assert "Batches acts in mid-epoch (on_train_batch_end)" in tuner.explain_execution()


def test_a_pruner_stops_trials_in_the_stack(tmp_path: Path) -> None:
    pruner = kts.pruners.ThresholdPruner(upper=0.7)
    fused, inline = (search(tmp_path, name, max_trials=5, pruner=pruner) for name in ("fused", "inline"))
    assert_equal(fused, inline)
    assert {row[0] for row in rows(fused).values()} == {TrialStatus.COMPLETED, TrialStatus.PRUNED}


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        rows = slice(10 * index, 10 * index + 10)
        return X[:24][rows], Y[:24][rows]


def data_set(*parts: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts)


STREAMS: dict[str, Any] = {
    "a data set": lambda: {
        "x": data_set(X[:24], Y[:24]).batch(7),
        "validation_data": data_set(X[24:], Y[24:]).batch(9),
    },
    "an endless one": lambda: {"x": data_set(X[:24], Y[:24]).repeat().batch(7), "steps_per_epoch": 2},
    "a PyDataset": lambda: {"x": Batches(), "validation_freq": 2, "callbacks": [WarmUp()]},
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_batches_train_as_inline(tmp_path: Path, name: str) -> None:
    fit = {"y": None, "shuffle": False, "epochs": 2, **STREAMS[name]()}
    fused, inline = (search(tmp_path, one, max_trials=3, fit=fit) for one in ("fused", "inline"))
    assert "3 trials in one program" in fused.explain_execution()
    assert_equal(fused, inline)


@pytest.mark.slow
def test_steps_and_validations_are_those_of_fit(tmp_path: Path) -> None:
    def build_in_pairs(hp: Any) -> Any:
        model = build(hp)
        model.compile(model.optimizer, "sparse_categorical_crossentropy", steps_per_execution=2)
        return model

    fit = {"x": X, "y": Y, "validation_data": None, "validation_split": 0.25, "initial_epoch": 1, "epochs": 5}
    fit |= {"steps_per_epoch": 2, "validation_steps": 2, "validation_freq": [3, 5], "callbacks": [WarmUp()]}
    fused, inline = (search(tmp_path, one, build_in_pairs, max_trials=3, fit=fit) for one in ("fused", "inline"))
    assert "3 trials in one program" in fused.explain_execution()
    assert_equal(fused, inline)


def test_data_that_a_stack_cannot_go_through_train_one_after_the_other(tmp_path: Path) -> None:
    import tensorflow as tf

    x = tf.data.Dataset.from_tensors((tf.sparse.from_dense(X[:24]), Y[:24])).repeat(2)
    tuner = search(tmp_path, "fused", max_trials=2, fit={"x": x, "y": None, "epochs": 1})
    assert {row["status"] for row in tuner.results()} == {TrialStatus.COMPLETED}
    assert "the data set yields SparseTensorSpec" in tuner.explain_execution()


def test_a_model_whose_fit_was_replaced_is_trained_by_that(tmp_path: Path) -> None:
    def build_own(hp: Any) -> Any:
        model = build(hp)
        model.fit = lambda *args, **kwargs: {"val_loss": 7.0}
        return model

    tuner = search(tmp_path, "fused", build_own, max_trials=2)
    assert [row["score"] for row in tuner.results()] == [7.0, 7.0]
    assert "overrides fit" in tuner.explain_execution()


def test_what_could_look_otherwise_trains_one_after_the_other_without_a_word(tmp_path: Path, capsys: Any) -> None:
    def own(true: Any, predicted: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(true, predicted)

    def mixed(hp: Any) -> Any:
        model = build(hp)
        if hp.Int("units", 2, 6) == 4:
            model.compile("sgd", own)
        return model

    tuner = search(tmp_path, "auto", mixed, max_trials=8, fit={"verbose": 1, "epochs": 1})
    odd = sum(row["values"]["units"] == 4 for row in tuner.results())
    assert 0 < odd < 8
    assert {row["status"] for row in tuner.results()} == {TrialStatus.COMPLETED}
    assert f"{8 - odd} trials in one program" in tuner.explain_execution()
    assert f"{odd} trials one after the other: own is a function of your own" in tuner.explain_execution()
    assert "not fused" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MLP", "CNN"])
def test_ready_models_train_as_inline(tmp_path: Path, name: str) -> None:
    x = RNG.normal(size=(48, 6, 6, 1) if name == "CNN" else (48, 4)).astype("float32")
    y = RNG.integers(0, 3, 48)
    fit = {"x": x[:32], "y": y[:32], "validation_data": (x[32:], y[32:]), "epochs": 2}
    options: dict[str, Any] = {"max_trials": 5, "fit": fit}
    made = getattr(kts.models, name)
    calm = {"dropout": 0.0, "augmentation": False}
    known = {key: value for key, value in calm.items() if key in made().ranges}
    fused, inline = (search(tmp_path, one, made(fixed=known), **options) for one in ("fused", "inline"))
    assert "in one program" in fused.explain_execution()
    for trial_id, (status, epochs, score) in rows(inline).items():
        assert rows(fused)[trial_id] == (status, epochs, pytest.approx(score, rel=2e-2))
