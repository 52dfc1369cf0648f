"""What one replica does with its part of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kt_suite.errors import InputError, rule

SUM = tf.distribute.ReduceOp.SUM


class ReplicaSteps:
    """Training and test steps of a compiled model, right for any division of a batch among replicas.

    Keras divides each replica's mean by the number of replicas, which is the mean over the batch where all parts are
    of one size only; here each part counts by its number of samples. Metrics are computed apart from the metrics'
    variables: a step returns what it adds to them, summed over replicas, so that no strategy's rules for variables
    matter. What layers assign to their own state (moving averages, seeds) becomes the mean over the replicas.

    Args:
        model: A compiled and built model.
        strategy: The distribution it was built in.

    Attributes:
        metric_variables: Variables of the model's metrics; what steps return goes with them.
    """

    def __init__(self, model: Any, strategy: Any) -> None:
        self._model = model
        self._num_replicas = strategy.num_replicas_in_sync
        self._sums_losses = _sums_losses(model)
        unique = {id(one): one for metric in model.metrics for one in metric.variables}
        self.metric_variables: list[Any] = list(unique.values())

    def zeros(self) -> list[Any]:
        """Returns what the metrics' variables hold before the first batch."""
        return [tf.zeros(one.shape, one.dtype) for one in self.metric_variables]

    def results(self, sums: Sequence[Any]) -> dict[str, Any]:
        """Returns the metrics whose variables hold ``sums``."""
        with keras.StatelessScope(state_mapping=list(zip(self.metric_variables, sums, strict=True))):
            return dict(self._model.get_metrics_result())

    def train(self, data: Any) -> list[Any]:
        """Trains on a replica's part of a batch; returns what the batch adds to the metrics' variables."""
        model = self._model
        trainable = model.trainable_weights
        with tf.GradientTape() as tape, self._scope() as scope:
            loss, share = self._forward(data, training=True)
            loss = model.optimizer.scale_loss(loss)
        added = self._sum([scope.get_current_value(one) for one in self.metric_variables])
        if trainable:
            gradients = self._of_samples(tape.gradient(loss, trainable), share)
            model.optimizer.apply_gradients(zip(gradients, trainable, strict=True))
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        self._keep_state(scope, share)
        return added

    def test(self, data: Any) -> list[Any]:
        """Evaluates a replica's part of a batch; returns what the batch adds to the metrics' variables."""
        with self._scope() as scope:
            self._forward(data, training=False)
        return self._sum([scope.get_current_value(one) for one in self.metric_variables])

    def _scope(self) -> Any:
        # A stateless scope must be told of variables that are regularized; read here, they are on the tape.
        regularized = [(one, one) for one in self._model.trainable_weights if one.regularizer is not None]
        zeros = zip(self.metric_variables, self.zeros(), strict=True)
        return keras.StatelessScope(state_mapping=[*zeros, *regularized])

    def _forward(self, data: Any, training: bool) -> tuple[Any, Any]:
        """Returns the part of the batch's loss that is due to this replica, and its share of the samples."""
        model = self._model
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = model(x, training=training) if model._call_has_training_arg else model(x)
        loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        size = tf.shape(next(one for one in keras.tree.flatten(x) if one is not None))[0]
        share = tf.math.divide_no_nan(tf.cast(size, loss.dtype), tf.cast(self._sum([size])[0], loss.dtype))
        if not self._sums_losses:
            loss = loss * share * self._num_replicas
        model._loss_tracker.update_state(self._sum([tf.stop_gradient(loss)])[0], sample_weight=size)
        model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
        return loss, share

    def _sum(self, values: list[Any]) -> list[Any]:
        if self._num_replicas == 1 or not values:
            return values
        return list(tf.distribute.get_replica_context().all_reduce(SUM, values))

    def _of_samples(self, gradients: list[Any], share: Any) -> list[Any]:
        # Without samples there is no mean to normalise by, and NaN in the gradients of what does.
        def zero_if_none(gradient: Any) -> Any:
            if gradient is None or isinstance(gradient, tf.IndexedSlices):
                return gradient
            return tf.where(share > 0, gradient, tf.zeros_like(gradient))

        return gradients if self._num_replicas == 1 else [zero_if_none(one) for one in gradients]

    def _keep_state(self, scope: Any, share: Any) -> None:
        changed = [(one, scope.get_current_value(one)) for one in self._model.non_trainable_variables]
        changed = [(variable, value) for variable, value in changed if value is not None]
        means = [(variable, value) for variable, value in changed if value.dtype.is_floating]
        others = [(variable, value) for variable, value in changed if not value.dtype.is_floating]
        # A replica without samples has no averages: its NaN must not count.
        parts = [tf.where(share > 0, value, 0) * tf.cast(share, value.dtype) for _, value in means]
        if self._num_replicas == 1:
            parts = [value for _, value in means]
        summed = self._sum(parts)
        values = [*zip([one for one, _ in means], summed, strict=True), *others]
        for variable, value in values:
            _assign(variable.value, tf.cast(value, variable.dtype))


def _assign(variable: Any, value: Any) -> None:
    def update(strategy: Any, variable: Any, value: Any) -> None:
        strategy.extended.update(variable, lambda own, new: own.assign(new), args=(value,), group=False)

    if tf.distribute.in_cross_replica_context():
        variable.assign(value)
    else:
        tf.__internal__.distribute.interim.maybe_merge_call(update, tf.distribute.get_strategy(), variable, value)


def _sums_losses(model: Any) -> bool:
    """Whether a model's losses are sums over the samples, not means."""
    compiled = model._compile_loss
    losses = keras.tree.flatten(compiled._user_loss) if compiled is not None else []
    kinds = {getattr(one, "reduction", "sum_over_batch_size") for one in losses if one is not None}
    kinds = {"sum_over_batch_size" if one in ("mean", "auto") else one for one in kinds}
    if not kinds <= {"sum_over_batch_size", "sum"} or len(kinds) > 1:
        must = 'be "sum_over_batch_size" for all losses, or "sum" for all, under a distribution'
        raise InputError(rule("The reduction of losses", must, sorted(map(str, kinds))))
    return kinds == {"sum"}
