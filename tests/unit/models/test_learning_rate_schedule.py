from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kt_suite.models.learning_rate_schedule import LearningRateSchedule


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


@pytest.fixture
def rates():
    """Returns the rates of the batches of one training, and the model."""

    def rates(schedule, x, y=None, **options):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        watch = Rates()
        model.fit(x, y, callbacks=[schedule, watch], verbose=0, **options)
        return watch.seen, model

    return rates


def test_cosine_falls_from_the_peak_and_warmup_rises_to_it():
    cosine, warm = LearningRateSchedule(2.0), LearningRateSchedule(2.0, warmup=0.5)
    assert [cosine.learning_rate(share) for share in (0, 0.5, 1)] == pytest.approx([2, 1, 0])
    assert [warm.learning_rate(share) for share in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx([0, 1, 2, 1, 0])


def test_rate_moves_with_every_batch_over_all_epochs(rates):
    schedule = LearningRateSchedule(1.0, warmup=0.25)
    seen, model = rates(schedule, np.zeros((5, 1)), np.zeros(5), batch_size=2, epochs=2)
    assert seen == pytest.approx([schedule.learning_rate((step + 0.5) / 6) for step in range(6)])
    assert min(seen) > 0
    assert float(model.optimizer.learning_rate) == 1.0


def test_later_epochs_enter_the_schedule_where_they_belong(rates):
    x, y = np.zeros((4, 1)), np.zeros(4)
    whole, _ = rates(LearningRateSchedule(1.0), x, y, batch_size=2, epochs=4)
    rest, _ = rates(LearningRateSchedule(1.0), x, y, batch_size=2, epochs=4, initial_epoch=2)
    assert rest == pytest.approx(whole[4:])


def test_data_of_unknown_length_has_one_rate_an_epoch(rates):
    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 1)), np.zeros(4))).batch(2).filter(lambda x, y: True)
    schedule = LearningRateSchedule(1.0)
    with pytest.warns(UserWarning, match="ran out of data"):
        seen, _ = rates(schedule, data, epochs=2)
    assert sorted(set(seen)) == pytest.approx(sorted(schedule.learning_rate(share) for share in (0.25, 0.75)))
