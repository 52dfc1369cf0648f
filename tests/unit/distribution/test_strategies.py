from __future__ import annotations

import json
from typing import Any

import pytest
import tensorflow as tf

import kt_suite as kts
from kt_suite.distribution import Distribution, make_strategy, make_virtual_devices
from kt_suite.distribution.strategies import VIRTUAL_DEVICES
from kt_suite.errors import InputError
from kt_suite.testing import ToyHyperModel


def tuner(**options: Any) -> Any:
    return kts.RandomSearch(ToyHyperModel(), objective="val_loss", directory="projects", tensorboard=None, **options)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mirrored", tf.distribute.MirroredStrategy),
        ("central_storage", tf.distribute.experimental.CentralStorageStrategy),
        ("one_device:/cpu:0", tf.distribute.OneDeviceStrategy),
        ("one_device:CPU:0", tf.distribute.OneDeviceStrategy),
    ],
)
def test_names_stand_for_strategies(name: str, kind: Any) -> None:
    strategy = make_strategy(name)
    assert isinstance(strategy, kind)
    assert make_strategy(name) is strategy


def test_a_strategy_stays_itself_and_none_stays_none() -> None:
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    assert make_strategy(strategy) is strategy
    assert make_strategy(None) is None


@pytest.mark.skipif(len(tf.config.list_physical_devices("GPU")) > 1, reason="there are several GPUs")
def test_auto_is_nothing_without_several_gpus() -> None:
    assert make_strategy("auto") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mirored", "Did you mean 'mirrored'"),
        ("one_device", "Such as one_device:/gpu:0"),
        ("mirrored:2", "one of auto, mirrored"),
        ("one_device:/gpu:7", "name one of the devices"),
        ("tpu", "find a TPU"),
        ("parameter_server", "a chief, a worker and a ps in TF_CONFIG"),
        (3, "tf.distribute.Strategy"),
    ],
)
def test_what_stands_for_nothing_here_is_refused(name: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_strategy(name)


def test_virtual_devices_come_before_tensorflow_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tf.zeros(1)
    with pytest.raises(InputError, match="before TensorFlow is used"):
        make_virtual_devices(7)
    monkeypatch.setenv(VIRTUAL_DEVICES, "two")
    with pytest.raises(InputError, match="positive integer, but got 'two'"):
        make_strategy("mirrored")


def test_two_names_for_the_same_are_not_both_given() -> None:
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with pytest.raises(InputError, match="distribution_strategy must be left out"):
        tuner(distribution=strategy, distribution_strategy=strategy)
    assert tuner(distribution_strategy=strategy).distribution.strategy is strategy


@pytest.mark.parametrize("executor", ["processes", kts.executors.ProcessExecutor(1)], ids=["name", "executor"])
def test_a_distribution_takes_one_trial_after_the_other(executor: Any) -> None:
    with pytest.raises(InputError, match='be "inline" under a distribution'):
        tuner(distribution="one_device:/cpu:0", executor=executor)


def test_how_trials_are_spread_is_explained() -> None:
    explained = tuner(distribution="one_device:/cpu:0").explain_execution()
    assert (
        explained
        == "inline: one trial after the other, in this process, each spread by OneDeviceStrategy over 1 replica(s)"
    )


def test_a_follower_of_a_cluster_leaves_the_project_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    first = tuner(max_trials=1, project_name="search")
    data = ToyHyperModel.data()
    first.search(*data, validation_data=data, verbose=0)
    monkeypatch.setattr("kt_suite.distribution.distribution._serve", lambda cluster: None)
    addresses = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"], "ps": ["127.0.0.1:3"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": addresses, "task": {"type": "worker", "index": 0}}))
    follower = tuner(max_trials=1, project_name="search", distribution="parameter_server", overwrite=True)
    assert follower.distribution.is_follower
    assert (tmp_path / "projects" / "search" / "search.db").is_file()


def test_no_cluster_is_looked_for_without_a_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{")
    assert not Distribution(None).is_given
