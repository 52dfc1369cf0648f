"""Operations of ``keras.ops`` in a functional graph that work entry by entry."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.ops import core, nn, numpy

from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.context import Context, Signal
from kt_suite.executors.fused.graph import Slot, Step
from kt_suite.executors.fused.rules.base import Layout, Rule, register_rule
from kt_suite.executors.fused.rules.merge import common_axis
from kt_suite.executors.fused.unfusable import describe


def _classes(module: Any, names: str) -> list[type]:
    return [getattr(module, name) for name in names.split() if hasattr(module, name)]


_JOINING = _classes(numpy, "Add Subtract Multiply")
_OTHERS = (
    _classes(core, "StopGradient Cast")
    + _classes(
        numpy,
        "Abs Absolute Arctan Clip Cos Divide Exp Expm1 Log Log1p Maximum Minimum Negative Power Reciprocal Sign Sin "
        "Sqrt"
        " Square Tan Tanh TrueDivide Where Greater GreaterEqual Less LessEqual",
    )
    + _classes(nn, "Elu Gelu HardSigmoid HardSilu LeakyRelu LogSigmoid Relu Relu6 Selu Sigmoid Silu Softplus Softsign")
)

# Zeros stay zeros through these, and so may be padding.
_KEEPING = (
    _classes(core, "StopGradient Cast")
    + _classes(numpy, "Abs Absolute Arctan Expm1 Log1p Negative Sign Sin Square Tan Tanh")
    + _classes(nn, "Elu Gelu HardSilu LeakyRelu Relu Relu6 Selu Silu Softsign")
)


@register_rule(*_JOINING, *_OTHERS)
class OperationRule(Rule):
    """The operation itself, with a leading axis of members.

    Sums, differences and products of equally shaped signals may be padded, and what leaves zeros alone; anything else
    keeps its exact shape.
    """

    def reasons(self, step: Step) -> list[str]:
        if len({len(shape) for shape in step.input_shapes}) > 1:
            return [f"{describe(step.layer)} joins inputs of different ranks: reshape them"]
        constants = [
            value
            for value in keras.tree.flatten(step.arguments)
            if not isinstance(value, Slot) and len(getattr(value, "shape", ())) >= len(step.input_shapes[0])
        ]
        return [f"{describe(step.layer)} takes a constant with a batch axis: leave the axis out"] if constants else []

    def is_exact(self, step: Step) -> bool:
        if type(step.layer) in _KEEPING:
            return False
        return not (type(step.layer) in _JOINING and len(step.inputs) > 1 and len(set(step.input_shapes)) == 1)

    def layout(self, step: Step, inputs: list[Axis], width: int | None) -> Layout:
        if self.is_exact(step):
            return [Axis(int(step.output_shapes[0][-1] or 0)) for _ in step.outputs], {}
        return [common_axis(step, inputs)], {}

    def call(self, context: Context, step: Step, *inputs: Signal) -> Any:
        args, kwargs = keras.tree.map_structure(
            lambda value: inputs[value.position].value if isinstance(value, Slot) else value, step.arguments
        )
        return step.layer.call(*args, **kwargs)
