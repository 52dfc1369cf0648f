from __future__ import annotations

import functools
from typing import Any

import keras_tuner
import numpy as np
import pytest

import kt_suite as kts
from kt_suite.errors import InputError
from kt_suite.hypermodel import as_hypermodel, fit_options, overrides_fit
from kt_suite.scoring import Scoring
from kt_suite.testing import ToyHyperModel


class Model:
    """Remembers how it was asked to train."""

    def fit(self, *args: Any, **kwargs: Any) -> str:
        self.args, self.kwargs = args, kwargs
        return "history"


class Recorded(kts.HyperModel):
    adapted: Any = None

    def build(self, hp: Any) -> Any:
        return Model()

    def fit_options(self, hp: Any) -> dict[str, Any]:
        return {"batch_size": hp.Choice("batch_size", [4, 8]), "epochs": 7}

    def adapt(self, model: Any, x: Any, y: Any = None) -> None:
        self.adapted = (x, y)

    def callbacks(self, hp: Any) -> list[Any]:
        return ["own"]


def fitted(*args: Any, **kwargs: Any) -> tuple[Recorded, Model]:
    hypermodel, model = Recorded(), Model()
    assert hypermodel.fit(kts.HyperParameters(), model, *args, **kwargs) == "history"
    return hypermodel, model


def test_options_are_given_to_fit_unless_given_already() -> None:
    _, model = fitted(np.zeros(4), epochs=2)
    assert model.kwargs["epochs"] == 2
    assert model.kwargs["batch_size"] == 4


def test_callbacks_of_the_recipe_come_first() -> None:
    for given, expected in ((None, ["own"]), ([], ["own"]), (["mine"], ["own", "mine"]), ("mine", ["own", "mine"])):
        assert fitted(np.zeros(4), callbacks=given)[1].kwargs["callbacks"] == expected


def test_callbacks_of_the_recipe_see_what_scorers_add() -> None:
    scoring = Scoring({}, (np.zeros(4),))
    assert fitted(np.zeros(4), callbacks=["given", scoring])[1].kwargs["callbacks"] == [scoring, "own", "given"]


@pytest.mark.parametrize("by_name", [True, False])
def test_preprocessing_sees_the_training_rows_only(by_name: bool) -> None:
    x, y = np.arange(8), np.arange(8) * 10
    args, kwargs = ((), {"x": x, "y": y}) if by_name else ((x, y), {})
    hypermodel, model = fitted(*args, **kwargs, validation_split=0.25)
    assert hypermodel.adapted[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert hypermodel.adapted[1].tolist() == [0, 10, 20, 30, 40, 50]
    assert model.kwargs["validation_split"] == 0.25


def test_preprocessing_sees_every_input_of_several() -> None:
    hypermodel, _ = fitted({"a": np.arange(4), "b": np.arange(4)}, np.arange(4), validation_split=0.5)
    assert {name: rows.tolist() for name, rows in hypermodel.adapted[0].items()} == {"a": [0, 1], "b": [0, 1]}


def test_a_data_set_keeps_its_own_batches() -> None:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 2)), np.zeros(4))).batch(2)
    hypermodel, model = fitted(data)
    assert "batch_size" not in model.kwargs
    assert hypermodel.adapted == (data, None)


def test_a_build_function_is_a_hypermodel() -> None:
    def build(hp: Any, scale: int = 1) -> Any:
        return scale

    made = as_hypermodel(build)
    assert isinstance(made, keras_tuner.HyperModel)
    assert (made.name, made.build(None)) == ("build", 1)
    assert as_hypermodel(functools.partial(build, scale=3)).build(None) == 3
    assert as_hypermodel(lambda hp: 4).build(None) == 4


def test_hypermodels_stay_themselves() -> None:
    ours, theirs = ToyHyperModel(), keras_tuner.HyperModel()
    assert as_hypermodel(ours) is ours
    assert as_hypermodel(theirs) is theirs
    assert as_hypermodel(None) is None


def test_a_class_in_place_of_a_hypermodel_is_told_to_be_called() -> None:
    with pytest.raises(InputError, match="Call the class"):
        as_hypermodel(ToyHyperModel)
    with pytest.raises(InputError, match="'mlp'"):
        as_hypermodel("mlp")


def test_hypermodels_of_keras_tuner_have_no_options() -> None:
    assert fit_options(keras_tuner.HyperModel(), kts.HyperParameters()) == {}
    assert fit_options(None, kts.HyperParameters()) == {}


def test_training_in_ones_own_way_is_noticed() -> None:
    class Own(ToyHyperModel):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> float:
            return 0.0

    assert overrides_fit(Own())
    assert not any(
        map(overrides_fit, (ToyHyperModel(), keras_tuner.HyperModel(), None, as_hypermodel(lambda hp: None)))
    )


def test_hyperparameters_of_an_untunable_hypermodel_do_not_join_the_space() -> None:
    class Fixed(kts.HyperModel):
        def build(self, hp: Any) -> int:
            return int(hp.Int("units", 3, 9))

    hp = kts.HyperParameters()
    assert Fixed(tunable=False).build(hp) == 3
    assert hp.space == []
    assert Fixed().build(hp) == 3
    assert [one.name for one in hp.space] == ["units"]
