from __future__ import annotations

import pickle

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from kt_suite.errors import InputError
from kt_suite.models import MLP

SMALL = {"num_layers": (1, 2), "units": (4, 8)}


@pytest.fixture
def trained(values):
    """Returns a model of ``hypermodel`` after one or more epochs, and the history."""

    def trained(hypermodel, *data, epochs=1, eager=True, **options):
        hp = values()
        model = hypermodel.build(hp)
        model.run_eagerly = eager  # a step or two is over before a graph is traced
        history = hypermodel.fit(hp, model, *data, epochs=epochs, verbose=0, **options)
        return model, history.history

    return trained


def test_what_is_not_given_is_read_from_data(rows):
    model = MLP()
    assert model.requires_data
    assert (model.input_shape, model.num_outputs, model.task) == (None, None, None)
    model.bind(*rows)
    assert not model.requires_data
    assert (model.input_shape, model.num_outputs, model.task) == ((3,), 3, "multiclass")


def test_what_is_given_needs_no_data():
    assert not MLP((3,), 2, task="regression").requires_data
    assert not MLP((3,), task="binary").requires_data
    assert MLP((3,), task="multiclass").requires_data
    assert MLP(num_outputs=2, task="regression").requires_data


def test_building_too_early_says_what_is_missing():
    with pytest.raises(InputError, match=r"MLP must know .*'input_shape': \(3,\), 'num_outputs': None"):
        MLP((3,)).build(keras_tuner.HyperParameters())
    with pytest.raises(InputError, match="bind"):
        MLP().objective  # noqa: B018


def test_data_that_contradicts_the_arguments_is_refused(rows):
    x, y = rows
    with pytest.raises(InputError, match=r"given input_shape \(4,\), but got \(3,\)"):
        MLP((4,)).bind(x, y)
    with pytest.raises(InputError, match="below num_outputs, 2"):
        MLP(num_outputs=2).bind(x, y)
    with pytest.raises(InputError, match="only 0 and 1"):
        MLP(task="binary").bind(x, y)


def test_data_that_is_refused_leaves_the_model_as_it_was(rows):
    x, y = rows
    model = MLP()
    with pytest.raises(InputError):
        model.bind(x, y + 1)
    assert model.requires_data


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((np.zeros((4, 2)), np.zeros(4, int)), r"training data's shape \(3,\)"),
        ((np.zeros((4, 3)), np.zeros((4, 3))), "rows of the shape of the training targets"),
        ((np.zeros((4, 3)), np.zeros(3, int)), "validation y must have as many rows as validation x"),
        ((np.full((4, 3), np.nan), np.zeros(4, int)), "validation x must be finite"),
        ((np.zeros((4, 3)), np.full(4, 0.5)), "hold whole numbers as the training targets do"),
        ((np.zeros((4, 3)), np.full(4, 9)), "every class from 0 to 9"),
        (np.zeros((4, 3)), r"be \(x, y\)"),
    ],
)
def test_validation_data_that_does_not_go_with_the_training_data_is_refused(rows, validation, message):
    with pytest.raises(InputError, match=message):
        MLP().bind(*rows, validation)


def test_class_of_the_validation_data_alone_counts(rows):
    x, y = rows
    model = MLP()
    model.bind(x, y % 2 + (y == 2), (x[:3], np.array([0, 1, 2])))
    assert (model.task, model.num_outputs) == ("multiclass", 3)


TARGETS = {
    "multiclass": np.arange(40) % 3,
    "one-hot": np.eye(3)[np.arange(40) % 3],
    "binary": np.arange(40) % 2,
    "multilabel": np.stack([np.arange(40) % 2, np.arange(40) % 3 == 0, np.ones(40)], axis=1),
    "regression": np.arange(40) * 1.5,
    "two quantities": np.stack([np.arange(40.0), 1000 - np.arange(40.0)], axis=1),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_every_task_trains_and_reports_its_objective(kind, rows, trained):
    x, y = rows[0], TARGETS[kind]
    hypermodel = MLP(**SMALL)
    hypermodel.bind(x, y, (x, y))
    model, history = trained(hypermodel, x, y, validation_data=(x, y))
    assert hypermodel.objective in history
    metrics = {"accuracy"} if "accuracy" in hypermodel.objective else {"root_mean_squared_error", "mean_absolute_error"}
    assert metrics | {"loss"} == {name for name in history if not name.startswith("val_")}
    direction = keras_tuner.engine.metrics_tracking.infer_metric_direction(hypermodel.objective)
    assert direction == ("max" if metrics == {"accuracy"} else "min")
    out = np.asarray(model(x))
    assert out.shape == (40, hypermodel.num_outputs)
    if hypermodel.task == "multiclass":
        np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-5)


def test_accuracy_of_labels_is_counted_label_by_label():
    model = MLP((1,), 2, task="multilabel", **SMALL).build(keras_tuner.HyperParameters())
    x, y = np.zeros((1, 1)), np.zeros((1, 2))
    model.get_layer("output").set_weights([np.zeros((8, 2)), np.array([5.0, -5.0])])
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == 0.5


@pytest.mark.parametrize(("optimizer", "scale"), [("adam", 1e-4), ("sgd", 1e5)])
def test_regression_learns_alike_whatever_the_unit(rng, trained, optimizer, scale):
    x = rng.normal(size=(64, 2))
    y = scale * (10 + x[:, 0] - x[:, 1])
    hypermodel = MLP((2,), 1, task="regression", num_layers=1, optimizer=optimizer, l2=0.0, dropout=0.0, batch_size=8)
    keras.utils.set_random_seed(0)
    model, history = trained(hypermodel, x, y, epochs=10, eager=False)
    assert history["root_mean_squared_error"][-1] < 0.4 * scale
    assert np.mean(model(x)) == pytest.approx(10 * scale, rel=0.1)


def test_scales_come_from_the_training_part_only(rows, trained):
    x, y = rows
    x = x.copy()
    x[32:] = 1e6
    hypermodel = MLP((3,), 3, task="multiclass", **SMALL)
    model, _ = trained(hypermodel, x, y, validation_split=0.2)
    np.testing.assert_allclose(model.get_layer("input_scale").get_weights()[0], x[:32].mean(axis=0), rtol=1e-5)


def test_binding_keeps_no_statistics(rows, values):
    x, y = rows[0], rows[0][:, 0]
    fresh, bound = MLP((3,), 1, task="regression"), MLP()
    bound.bind(x * 7, y * 7)
    for layer in ("input_scale", "target_scale"):
        weights = [model.build(values()).get_layer(layer).get_weights() for model in (fresh, bound)]
        assert [part.tolist() for part in weights[0]] == [part.tolist() for part in weights[1]]


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_saved_model_and_saved_weights_predict_the_same(kind, rows, trained, values, tmp_path):
    x, y = rows[0], TARGETS[kind]
    hypermodel = MLP(**SMALL, batch_norm=True, schedule="cosine")
    hypermodel.bind(x, y)
    model, _ = trained(hypermodel, x, y, eager=False)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={}, safe_mode=True)
    np.testing.assert_allclose(loaded(x), expected, rtol=1e-6)
    model.save_weights(tmp_path / "model.weights.h5")
    rebuilt = hypermodel.build(values())
    rebuilt.optimizer.build(rebuilt.trainable_variables)
    rebuilt.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(rebuilt(x), expected, rtol=1e-6)


def test_data_set_of_batches_trains_without_a_batch_size(rows, trained, space_of):
    x, y = rows
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
    hypermodel = MLP(**SMALL)
    hypermodel.bind(data, validation_data=data)
    assert "batch_size" not in {hp.name for hp in space_of(hypermodel).space}
    model, history = trained(hypermodel, data, validation_data=data)
    assert "val_accuracy" in history
    np.testing.assert_allclose(model.get_layer("input_scale").get_weights()[0], x.mean(axis=0), rtol=1e-5)


def test_frames_train_as_they_are(rows, trained):
    x, y = pd.DataFrame(rows[0], columns=["a", "b", "c"]), pd.Series(rows[1])
    hypermodel = MLP(**SMALL)
    hypermodel.bind(x, y)
    assert "accuracy" in trained(hypermodel, x, y)[1]


def test_constant_column_harms_nothing(rows, trained):
    x, y = rows
    x = np.column_stack([x, np.full(len(x), 0.1)])
    hypermodel = MLP((4,), 3, task="multiclass", **SMALL)
    model, history = trained(hypermodel, x, y)
    assert np.isfinite(history["loss"][-1])
    assert np.isfinite(model(x + 1)).all()


@pytest.mark.parametrize(
    ("num_rows", "expected"), [(12, [8]), (90, [8, 16]), (300, [16, 32, 64]), (5000, [32, 64, 128])]
)
def test_batch_size_suits_the_number_of_rows(num_rows, expected, values):
    model = MLP()
    model.bind(np.zeros((num_rows, 2)), np.arange(num_rows) % 3)
    hp = values()
    options = model.fit_options(hp)
    declared = [list(one.values) for one in hp.space if one.name == "batch_size"]
    assert declared == ([expected] if len(expected) > 1 else [])
    assert options["batch_size"] in expected


def test_given_batch_size_is_left_alone(values):
    model = MLP(batch_size=(64, 256))
    model.bind(np.zeros((12, 2)), np.arange(12) % 3)
    assert model.fit_options(values()) == {"batch_size": 64}


@pytest.mark.parametrize(
    ("kind", "extra", "cls"),
    [
        ("adam", {}, keras.optimizers.Adam),
        ("adamw", {"weight_decay": 0.02}, keras.optimizers.AdamW),
        ("sgd", {"momentum": 0.85}, keras.optimizers.SGD),
        ("rmsprop", {}, keras.optimizers.RMSprop),
    ],
)
def test_optimizer_has_its_own_values_and_no_others(kind, extra, cls, values):
    rate = "sgd_learning_rate" if kind == "sgd" else "learning_rate"
    hp = values(optimizer=kind, **{rate: 0.0123}, **extra)
    optimizer = MLP((3,), 1, task="regression").build(hp).optimizer
    config = optimizer.get_config()
    assert type(optimizer) is cls
    assert config["learning_rate"] == pytest.approx(0.0123)
    assert {name: config[name] for name in extra} == pytest.approx(extra)
    assert {"learning_rate", "sgd_learning_rate", "momentum", "weight_decay"} & set(hp.values) == {
        rate,
        *extra,
    }


def test_space_is_whole_before_training_and_the_first_values_are_in_it(space_of):
    hp = space_of(MLP((3,), 3, task="multiclass"))
    conditions = {one.name: [(c.name, c.values) for c in one.conditions] for one in hp.space}
    assert conditions == {
        "num_layers": [],
        "units_0": [],
        "units_1": [("num_layers", [2, 3])],
        "units_2": [("num_layers", [3])],
        "activation": [],
        "batch_norm": [],
        "dropout": [],
        "l2": [],
        "optimizer": [],
        "learning_rate": [("optimizer", ["adam", "adamw", "rmsprop"])],
        "sgd_learning_rate": [("optimizer", ["sgd"])],
        "momentum": [("optimizer", ["sgd"])],
        "weight_decay": [("optimizer", ["adamw"])],
        "schedule": [],
        "warmup_share": [("schedule", ["warmup_cosine"])],
        "batch_size": [],
    }
    assert len(hp.space) == len(conditions), "a name stands in the space once"


@pytest.mark.parametrize(
    ("schedule", "warmup"),
    [("constant", None), ("cosine", 0.0), ("warmup_cosine", 0.25)],
    ids=["constant", "cosine", "warm"],
)
def test_schedule_starts_from_the_rate_of_the_optimizer(schedule, warmup, values):
    hp = values(schedule=schedule, warmup_share=0.25, learning_rate=0.004)
    model = MLP((3,), 1, task="regression")
    model.build(hp)
    callback = model.schedule(hp)
    if warmup is None:
        assert callback is None
        assert model.callbacks(hp) == []
    else:
        assert (callback.peak, callback.warmup) == (pytest.approx(0.004), warmup)


def test_schedule_runs_before_the_callbacks_of_the_caller(rows, trained):
    class Watch(keras.callbacks.Callback):
        rates: list[float] = []  # noqa: RUF012

        def on_train_batch_begin(self, batch, logs=None):
            self.rates.append(float(self.model.optimizer.learning_rate))

    hypermodel = MLP(
        (3,), 3, task="multiclass", schedule="cosine", learning_rate=0.01, fixed={"batch_size": 20}, **SMALL
    )
    model, _ = trained(hypermodel, *rows, callbacks=Watch(), epochs=2)
    assert Watch.rates == sorted(Watch.rates, reverse=True)
    assert len(set(Watch.rates)) == 4
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_fixed_values_leave_the_space(space_of):
    fixed = {
        "dropout": 0.0,
        "num_layers": 2,
        "units_1": 5,
        "optimizer": "sgd",
        "momentum": 0.5,
        "batch_size": 7,
    }
    model = MLP((3,), 3, task="multiclass", fixed=fixed)
    hp = space_of(model)
    assert {one.name for one in hp.space} == {
        "units_0", "activation", "batch_norm", "l2", "sgd_learning_rate", "schedule", "warmup_share",
    }  # fmt: skip
    network = model.build(hp)
    assert [layer.units for layer in network.layers if isinstance(layer, keras.layers.Dense)] == [128, 5, 3]
    assert network.optimizer.momentum == 0.5
    assert model.fit_options(hp) == {"batch_size": 7}


def test_depth_may_be_fixed_outside_of_its_range(space_of):
    hp = space_of(MLP((3,), 3, task="multiclass", fixed={"num_layers": 4}))
    units = [one for one in hp.space if one.name.startswith("units_")]
    assert [one.name for one in units] == ["units_0", "units_1", "units_2", "units_3"]
    assert not any(one.conditions for one in units)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"drop_out": 0.1}, "'drop_out'.*Near: dropout"),
        ({"units_3": 8}, "Near: units_"),
        ({"optimizer": "sgd", "learning_rate": 0.1}, "Near: sgd_learning_rate"),
        ({"optimizer": "lion"}, "optimizer must be one of"),
        ({"schedule": "step"}, "schedule must be one of"),
        ({"dropout": "high"}, "be a number"),
    ],
)
def test_fixing_what_is_not_there_is_refused(fixed, message):
    with pytest.raises(InputError, match=message):
        MLP((3,), 3, task="multiclass", fixed=fixed).build(keras_tuner.HyperParameters())


def test_untunable_model_adds_nothing_to_the_space(values):
    model = MLP((3,), 3, task="multiclass", tunable=False, **SMALL)
    hp = values()
    model.build(hp)
    model.fit_options(hp)
    model.schedule(hp)
    assert hp.space == []


def test_pieces_can_be_replaced_one_at_a_time(space_of, values):
    class Residual(MLP):
        def stem(self, hp, x):
            return keras.layers.Dense(6)(x)

        def block(self, hp, x, index):
            scale = hp.Float(f"scale_{index}", 0.1, 1.0, default=0.5)
            inner = keras.layers.Dense(6, activation=self.tune(hp, "activation"))(x)
            return x + scale * inner

        def head(self, hp, x):
            return keras.layers.Dense(hp.Int("head", 2, 4))(x)

        def optimizer(self, hp):
            return keras.optimizers.Lion(hp.Float("lion_rate", 1e-4, 1e-3))

    model = Residual((3,), 1, task="regression", fixed={"scale_1": 0.3})
    conditions = {one.name: [c.values for c in one.conditions] for one in space_of(model).space}
    assert set(conditions) == {
        "num_layers", "scale_0", "activation", "scale_2", "head", "lion_rate",
        "schedule", "warmup_share", "batch_size",
    }  # fmt: skip
    assert conditions["scale_2"] == [[3]]
    hp = values(lion_rate=5e-4, schedule="cosine")
    model.build(hp)
    assert model.schedule(hp).peak == pytest.approx(5e-4)


def test_optimizer_with_a_schedule_of_its_own_gets_no_other(values):
    class Decayed(MLP):
        def optimizer(self, hp):
            return keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))

    assert Decayed((3,), 1, task="regression").schedule(values(schedule="cosine")) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": ()}, "input_shape"),
        ({"input_shape": 64}, "input_shape"),
        ({"input_shape": (0, 3)}, "input_shape"),
        ({"task": "clustering"}, "multiclass, binary, multilabel, regression"),
        ({"optimizer": ["adamm"]}, "optimizer must hold names among adam"),
        ({"learning_rate": (0.0, 1.0)}, "logarithmic"),
        ({"momentum": (0.5, 1.0)}, "momentum"),
        ({"schedule": "step"}, "schedule"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, message):
    with pytest.raises(InputError, match=message):
        MLP(**arguments)


def test_same_seed_builds_and_trains_the_same(rows, trained):
    outcomes = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        model, _ = trained(MLP((3,), 3, task="multiclass", dropout=0.3, **SMALL), *rows)
        outcomes.append(np.asarray(model(rows[0])))
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    assert not np.array_equal(outcomes[0], outcomes[2])


def test_model_travels_to_other_processes(rows, values):
    model = MLP(fixed={"units_0": 16})
    model.bind(*rows)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.build(values()).get_layer(index=2).units == 16
    assert (copied.task, copied.input_shape) == (model.task, model.input_shape)


@pytest.mark.slow
def test_plain_keras_tuner_searches_over_it(rows, tmp_path):
    x, y = rows
    hypermodel = MLP((3,), 3, task="multiclass", **SMALL)
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective=hypermodel.objective,
        max_trials=2,
        seed=1,
        directory=tmp_path,
        project_name="plain",
    )
    assert "batch_size" in {hp.name for hp in tuner.oracle.get_space().space}
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        best = tuner.get_best_models(1)[0]
    score = best.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(tuner.oracle.get_best_trials(1)[0].score, abs=1e-6)
