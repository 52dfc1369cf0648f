"""Keras' optimizers as update rules for stacked variables, every number a member's own."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from kt_suite.executors.fused.keys import as_cast
from kt_suite.executors.fused.lazy import make_variables
from kt_suite.executors.fused.unfusable import Unfusable

Number = Callable[[str], Any]
"""Returns a number of the optimizer, ``(members, 1, ...)``."""


class OptimizerRule(abc.ABC):
    """How one optimizer updates a variable of shape ``(members, ...)``.

    A subclass names its slots, its numbers, and writes :meth:`update`, as Keras' ``update_step`` does it.
    """

    names: ClassVar[tuple[str, ...]] = ()
    """Attributes of the optimizer that are numbers of each member."""
    complements: ClassVar[tuple[str, ...]] = ()
    """Those of which ``1 - number`` is needed too, under the name ``"1-..."``, as exact as Python has it."""

    casts: ClassVar[tuple[str, ...]] = ()
    """Those that Keras casts to the variable's type, and so rounds, under the name ``"cast ..."``."""

    def key(self, optimizer: Any, variables: list[Any]) -> Any:
        """Returns what members must agree on: class, slots, clipping, and which variables decay."""
        clips = tuple(bool(getattr(optimizer, name)) for name in ("clipnorm", "global_clipnorm", "clipvalue"))
        decays = self.decays(optimizer, variables)
        return type(optimizer), tuple(self.slots(optimizer)), clips, decays, self.switches(optimizer)

    def decays(self, optimizer: Any, variables: list[Any]) -> tuple[bool, ...]:
        """Returns which variables decay."""
        if optimizer.weight_decay is None:
            return (False,) * len(variables)
        if not any(getattr(optimizer, f"_exclude_from_weight_decay{end}", None) for end in ("", "_pattern")):
            return (True,) * len(variables)
        make_variables(list(variables))  # Keras asks for the tensor, to tell one from another
        return tuple(bool(optimizer._use_weight_decay(variable)) for variable in variables)

    def switches(self, optimizer: Any) -> Any:
        """Returns settings that are no numbers."""
        return None

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        """Returns the attributes that hold one variable for each trainable variable, with their initial values."""
        return {}

    def scalars(self, optimizer: Any) -> Mapping[str, float]:
        """Returns the attributes that hold one number, with their initial values."""
        return {}

    def numbers(self, optimizer: Any) -> dict[str, float]:
        """Returns each number, ``1 - number`` where it is needed, decay and clipping included."""
        names = (*self.names, "weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
        found = {name: float(getattr(optimizer, name) or 0.0) for name in names}
        found |= {f"cast {name}": as_cast(found[name]) for name in (*self.casts, "weight_decay")}
        return found | {f"1-{name}": 1 - found[name] for name in self.complements}

    def derived(self, number: Number) -> dict[str, Any]:
        """Returns further numbers of the step, which all variables share, ``(members,)``."""
        return {}

    def begin(self, number: Number, scalars: dict[str, Any], step: Any) -> dict[str, Any]:
        """Returns the scalars after the first part of a step, of shape ``(members,)``."""
        return scalars

    @abc.abstractmethod
    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        """Returns the new weight and slots.

        Args:
            weight: ``(members, ...)``.
            gradient: Its gradient, clipped.
            slots: By name.
            number: Looks numbers up, ``(members, 1, ...)``: those of the optimizer, its scalars, what was derived,
                ``"learning rate"``, and ``"step"``, the number of the step from 1.
        """


class SGD(OptimizerRule):
    """With and without momentum."""

    names = casts = ("momentum",)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"momentums": 0.0} if optimizer.momentum != 0 else {}

    def switches(self, optimizer: Any) -> Any:
        return bool(optimizer.nesterov)

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        if not slots:
            return weight - gradient * number("learning rate"), slots
        momentum, rate = number("cast momentum"), number("learning rate")
        moved = slots["momentums"] * momentum - gradient * rate
        change = moved * momentum - gradient * rate if self.nesterov else moved
        return weight + change, {"momentums": moved}

    nesterov = False


class NesterovSGD(SGD):
    """With Nesterov's momentum."""

    nesterov = True


class Adam(OptimizerRule):
    """With and without the largest second moment (amsgrad); AdamW only adds decay."""

    names = ("beta_1", "beta_2", "epsilon")
    complements = casts = ("beta_1", "beta_2")

    def derived(self, number: Number) -> dict[str, Any]:
        first, second = (ops.power(number(f"cast {name}"), number("step")) for name in ("beta_1", "beta_2"))
        return {"alpha": number("learning rate") * ops.sqrt(1 - second) / (1 - first)}

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_momentums": 0.0, "_velocities": 0.0} | ({"_velocity_hats": 0.0} if optimizer.amsgrad else {})

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        first, second = slots["_momentums"], slots["_velocities"]
        first = first + (gradient - first) * number("1-beta_1")
        second = second + (ops.square(gradient) - second) * number("1-beta_2")
        new = {"_momentums": first, "_velocities": second}
        if "_velocity_hats" in slots:
            second = new["_velocity_hats"] = ops.maximum(slots["_velocity_hats"], second)
        return weight - first * number("alpha") / (ops.sqrt(second) + number("epsilon")), new


class RMSprop(OptimizerRule):
    """Plain, centred, with and without momentum."""

    names = ("rho", "momentum", "epsilon")
    complements = ("rho",)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        found = {"_velocities": 0.0}
        if optimizer.momentum > 0:
            found["_momentums"] = 0.0
        if optimizer.centered:
            found["_average_gradients"] = 0.0
        return found

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        rho, rest = number("rho"), number("1-rho")
        velocity = rho * slots["_velocities"] + rest * ops.square(gradient)
        new = {"_velocities": velocity}
        if "_average_gradients" in slots:
            average = rho * slots["_average_gradients"] + rest * gradient
            new["_average_gradients"] = average
            velocity = velocity - ops.square(average)
        increment = number("learning rate") * gradient / ops.sqrt(velocity + number("epsilon"))
        if "_momentums" in slots:
            increment = new["_momentums"] = number("momentum") * slots["_momentums"] + increment
        return weight - increment, new


class Adagrad(OptimizerRule):
    """Sums of squares."""

    names = ("epsilon",)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_accumulators": as_cast(optimizer.initial_accumulator_value)}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        total = slots["_accumulators"] + ops.square(gradient)
        return weight - number("learning rate") * gradient / ops.sqrt(total + number("epsilon")), {
            "_accumulators": total
        }


class Adadelta(OptimizerRule):
    """Windows of squares of gradients and of changes."""

    names = ("rho", "epsilon")
    complements = ("rho",)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_accumulated_grads": 0.0, "_accumulated_delta_vars": 0.0}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        rho, rest, epsilon = number("rho"), number("1-rho"), number("epsilon")
        squares, changes = slots["_accumulated_grads"], slots["_accumulated_delta_vars"]
        squares = rho * squares + rest * ops.square(gradient)
        change = -ops.sqrt(changes + epsilon) * gradient / ops.sqrt(squares + epsilon)
        changes = rho * changes + rest * ops.square(change)
        return weight + number("learning rate") * change, {
            "_accumulated_grads": squares,
            "_accumulated_delta_vars": changes,
        }


class Adamax(OptimizerRule):
    """Adam with the largest gradient."""

    names = ("beta_1", "beta_2", "epsilon")
    complements = casts = ("beta_1",)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_m": 0.0, "_u": 0.0}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        first = slots["_m"] + (gradient - slots["_m"]) * number("1-beta_1")
        largest = ops.maximum(number("beta_2") * slots["_u"], ops.abs(gradient))
        power = ops.power(number("cast beta_1"), number("step"))
        change = number("learning rate") * first / ((1 - power) * (largest + number("epsilon")))
        return weight - change, {"_m": first, "_u": largest}


class Nadam(OptimizerRule):
    """Adam with Nesterov's momentum; one product runs over the steps."""

    names = ("beta_1", "beta_2", "epsilon")
    casts = ("beta_1", "beta_2")

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_momentums": 0.0, "_velocities": 0.0}

    def scalars(self, optimizer: Any) -> Mapping[str, float]:
        return {"_u_product": 1.0}

    def begin(self, number: Number, scalars: dict[str, Any], step: Any) -> dict[str, Any]:
        factor = number("beta_1") * (1.0 - 0.5 * ops.power(0.96, step))
        return {"_u_product": scalars["_u_product"] * factor}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        beta_1, beta_2, step = number("cast beta_1"), number("cast beta_2"), number("step")
        decay = ops.cast(as_cast(0.96), weight.dtype)
        now = beta_1 * (1.0 - 0.5 * ops.power(decay, step))
        then = beta_1 * (1.0 - 0.5 * ops.power(decay, step + 1))
        product = number("_u_product")
        first = slots["_momentums"] + (gradient - slots["_momentums"]) * (1 - beta_1)
        second = slots["_velocities"] + (ops.square(gradient) - slots["_velocities"]) * (1 - beta_2)
        first_hat = then * first / (1 - product * then) + (1 - now) * gradient / (1 - product)
        second_hat = second / (1 - ops.power(beta_2, step))
        new = weight - first_hat * number("learning rate") / (ops.sqrt(second_hat) + number("epsilon"))
        return new, {"_momentums": first, "_velocities": second}


class Lion(OptimizerRule):
    """The sign of a momentum."""

    names = casts = ("beta_1", "beta_2")

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_momentums": 0.0}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        moved, beta_1, beta_2 = slots["_momentums"], number("cast beta_1"), number("cast beta_2")
        weight = weight - number("learning rate") * ops.sign(moved * beta_1 + gradient * (1 - beta_1))
        return weight, {"_momentums": moved * beta_2 + gradient * (1 - beta_2)}


class Ftrl(OptimizerRule):
    """Follow the regularised leader."""

    names = (
        "learning_rate_power",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return {"_accumulators": as_cast(optimizer.initial_accumulator_value), "_linears": 0.0}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        rate = number("learning rate")
        power, l1 = -number("learning_rate_power"), number("l1_regularization_strength")
        l2 = number("l2_regularization_strength") + number("beta") / (2.0 * rate)
        shrunk = gradient + 2 * number("l2_shrinkage_regularization_strength") * weight
        old = slots["_accumulators"]
        new = old + ops.square(gradient)
        linear = slots["_linears"] + shrunk - (ops.power(new, power) - ops.power(old, power)) / rate * weight
        quadratic = ops.power(new, power) / rate + 2 * l2
        clipped = ops.minimum(ops.maximum(linear, -l1), l1)
        return (clipped - linear) / quadratic, {"_accumulators": new, "_linears": linear}


class LossScale(OptimizerRule):
    """Another optimizer, on a loss that is scaled so that half precision can hold its gradients.

    Args:
        inner: The rule of the optimizer inside.
    """

    def __init__(self, inner: OptimizerRule) -> None:
        self.inner = inner

    def key(self, optimizer: Any, variables: list[Any]) -> Any:
        return type(optimizer), self.inner.key(optimizer.inner_optimizer, variables)

    def slots(self, optimizer: Any) -> Mapping[str, float]:
        return self.inner.slots(optimizer.inner_optimizer)

    def scalars(self, optimizer: Any) -> Mapping[str, float]:
        own = {"dynamic_scale": float(optimizer.initial_scale), "step_counter": 0.0}
        return {**self.inner.scalars(optimizer.inner_optimizer), **own}

    def numbers(self, optimizer: Any) -> dict[str, float]:
        growth = {"dynamic_growth_steps": float(optimizer.dynamic_growth_steps)}
        return self.inner.numbers(optimizer.inner_optimizer) | growth

    def derived(self, number: Number) -> dict[str, Any]:
        return self.inner.derived(number)

    def begin(self, number: Number, scalars: dict[str, Any], step: Any) -> dict[str, Any]:
        return {**scalars, **self.inner.begin(number, scalars, step)}

    def update(self, weight: Any, gradient: Any, slots: dict[str, Any], number: Number) -> tuple[Any, dict[str, Any]]:
        return self.inner.update(weight, gradient, slots, number)


def inner_of(optimizer: Any) -> Any:
    """Returns the optimizer inside of one that scales the loss, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


_RULES: dict[type, OptimizerRule] = {
    keras.optimizers.SGD: SGD(),
    keras.optimizers.Adam: Adam(),
    keras.optimizers.AdamW: Adam(),
    keras.optimizers.RMSprop: RMSprop(),
    keras.optimizers.Adagrad: Adagrad(),
    keras.optimizers.Adadelta: Adadelta(),
    keras.optimizers.Adamax: Adamax(),
    keras.optimizers.Nadam: Nadam(),
    keras.optimizers.Lion: Lion(),
    keras.optimizers.Ftrl: Ftrl(),
}
_NESTEROV = NesterovSGD()


def optimizer_rule(optimizer: Any) -> OptimizerRule:
    """Returns the rule of an optimizer.

    Raises:
        Unfusable: There is none, or it does what rules do not.
    """
    if type(optimizer) is keras.optimizers.LossScaleOptimizer:
        if isinstance(optimizer.inner_optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            raise Unfusable(["the learning rate follows steps that loss scaling may skip: use mixed_bfloat16"])
        return LossScale(optimizer_rule(optimizer.inner_optimizer))
    name = type(optimizer).__name__
    rule = _RULES.get(type(optimizer))
    if rule is None:
        known = ", ".join(sorted(kind.__name__ for kind in _RULES))
        raise Unfusable([f"the optimizer {name} has no rule for fused training: use one of {known}"])
    reasons = [
        f"the optimizer {name} has {setting}: leave it out"
        for setting in ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")
        if getattr(optimizer, setting, None)
    ]
    if getattr(optimizer, "epsilon", 1) == 0:
        reasons.append(f"the optimizer {name} has epsilon 0: use a positive one")
    if reasons:
        raise Unfusable(reasons)
    return _NESTEROV if getattr(optimizer, "nesterov", False) else rule
