"""One member's model, read once: steps and rules, variables, widths, numbers, choices, and its key."""

from __future__ import annotations

import weakref
from typing import Any

import keras

from kt_suite.executors.fused import keys
from kt_suite.executors.fused.axis import Axis
from kt_suite.executors.fused.graph import Slot, output_names_of, walk
from kt_suite.executors.fused.losses import loss_key
from kt_suite.executors.fused.metrics import metrics_key
from kt_suite.executors.fused.optimizers import optimizer_rule
from kt_suite.executors.fused.rules import rule_of
from kt_suite.executors.fused.time_masks import masked_signals
from kt_suite.executors.fused.unfusable import Unfusable, describe

_views: weakref.WeakKeyDictionary[Any, View] = weakref.WeakKeyDictionary()
_TRAINING_METHODS = ("train_step", "test_step", "compute_loss", "compute_metrics", "make_train_function", "fit")


class View:
    """What the engine needs to know of a model.

    Args:
        model: Built and compiled.

    Raises:
        Unfusable: Some part of it cannot be fused; all reasons are gathered.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.compiled_with = model.optimizer
        reasons = _reasons_of_training(model)
        if reasons:
            raise Unfusable(reasons)
        self.graph = walk(model)
        self.steps = self.graph.steps
        self.rules = []
        for step in self.steps:
            try:
                rule = rule_of(step.layer)
            except Unfusable as unfusable:
                reasons += unfusable.reasons
                continue
            self.rules.append(rule)
            reasons += rule.reasons(step) + _reasons_of_call(rule, step)
        if not reasons:
            masked, reasons = masked_signals(self.graph, self.rules)
            self.has_masked_outputs = any(number in masked for number in self.graph.outputs)
        reasons += self._read_optimizer()
        if reasons:
            raise Unfusable(list(dict.fromkeys(reasons)))
        self._read_variables()
        self.widths = [rule.width(step) for rule, step in zip(self.rules, self.steps, strict=True)]
        self._read_numbers()
        self.key = self._key()

    def _read_optimizer(self) -> list[str]:
        try:
            self.optimizer = optimizer_rule(self.model.optimizer)
        except Unfusable as unfusable:
            return unfusable.reasons
        return []

    def _read_variables(self) -> None:
        self.weights = list(self.model.weights)
        number_of = {id(variable): number for number, variable in enumerate(self.weights)}
        self.trainable = [number_of[id(variable)] for variable in self.model.trainable_variables]
        self.places: list[dict[str, int]] = []
        for rule, step in zip(self.rules, self.steps, strict=True):
            found = rule.variables(step)
            self.places.append({name: number_of[id(variable)] for name, variable in found.items()})
        covered = {number for places in self.places for number in places.values()}
        if missing := set(range(len(self.weights))) - covered:
            names = ", ".join(self.weights[number].path for number in sorted(missing))
            raise Unfusable([f"the variables {names} belong to no layer of the graph: leave them out"])
        if not self.trainable:
            raise Unfusable(["the model has no trainable variables: there is nothing to train"])

    def _read_numbers(self) -> None:
        self.numbers: dict[tuple[int, str], float] = {}
        self.choices: dict[tuple[int, str], str] = {}
        for index, (rule, step) in enumerate(zip(self.rules, self.steps, strict=True)):
            self.numbers.update({(index, name): float(value) for name, value in rule.numbers(step).items()})
            self.choices.update({(index, name): choice for name, choice in rule.choices(step).items()})
            l1, l2 = keys.penalty(getattr(step.layer, "activity_regularizer", None))
            self.numbers.update({(index, "activity_l1"): l1, (index, "activity_l2"): l2})
        for number in self.trainable:
            l1, l2 = keys.penalty(self.weights[number].regularizer)
            self.numbers.update({(~number, "l1"): l1, (~number, "l2"): l2})

    def _key(self) -> Any:
        self._judges = _judges_key(self.model)
        sources: dict[int, frozenset[int]] = {number: frozenset() for number in self.graph.inputs}
        steps = []
        for index, (rule, step) in enumerate(zip(self.rules, self.steps, strict=True)):
            taken = frozenset().union(*(sources[number] for number in step.inputs))
            exact = self._widths_of(taken) if rule.is_exact(step) else ()
            made = (
                frozenset({index}) if self.widths[index] is not None else frozenset() if rule.is_exact(step) else taken
            )
            sources.update(dict.fromkeys(step.outputs, made))
            steps.append((*_step_key(rule, step), exact))
        ends = frozenset().union(*(sources[number] for number in self.graph.outputs))
        return (
            tuple(steps),
            tuple((tuple(tensor.shape), tensor.dtype) for tensor in self.graph.input_tensors),
            (tuple(self.graph.outputs), self._widths_of(ends)),
            tuple(self.trainable),
            tuple((str(variable.dtype), keys.object_key(variable.constraint)) for variable in self.weights),
            self.optimizer.key(self.model.optimizer, [self.weights[number] for number in self.trainable]),
            self._judges,
        )

    def checked(self) -> View:
        """Returns itself, if loss and metrics are still what they were.

        Raises:
            Unfusable: They read what has changed, such as an attribute that each build sets anew.
        """
        if _judges_key(self.model) != self._judges:
            raise Unfusable(["the loss or a metric reads numbers that have changed since: hand them over in compile()"])
        return self

    def _widths_of(self, steps: frozenset[int]) -> tuple[Any, ...]:
        return tuple((index, self.widths[index]) for index in sorted(steps))

    def layout(self, capacities: list[int | None]) -> tuple[dict[int, Axis], list[list[Axis]]]:
        """Returns the last axis of each signal, and the axes of each variable.

        Args:
            capacities: The padded size of each step's width.
        """
        signals = {
            number: Axis(int(tensor.shape[-1] or 1) if len(tensor.shape) > 1 else 1)
            for number, tensor in zip(self.graph.inputs, self.graph.input_tensors, strict=True)
        }
        variables: list[list[Axis]] = [[Axis(size) for size in variable.shape] for variable in self.weights]
        for index, (rule, step) in enumerate(zip(self.rules, self.steps, strict=True)):
            inputs = [signals[number] for number in step.inputs]
            if rule.is_exact(step) and any(axis.positions is not None for axis in inputs):
                raise Unfusable([f"{describe(step.layer)} needs inputs of equal width in all trials"])
            outputs, own = rule.layout(step, inputs, capacities[index])
            signals.update(zip(step.outputs, outputs, strict=True))
            for name, axes in own.items():
                if name in self.places[index]:
                    variables[self.places[index][name]] = axes
        return signals, variables


def view_of(model: Any) -> View:
    """Returns the view of a model, read anew where it was compiled again."""
    view = _views.get(model)
    if view is None or view.compiled_with is not model.optimizer:
        view = _views[model] = View(model)
    return view


def _judges_key(model: Any) -> Any:
    names = output_names_of(model)  # logs have them where there are several
    return loss_key(model), metrics_key(model), tuple(names) if len(names) > 1 else ()


def _step_key(rule: Any, step: Any) -> tuple[Any, ...]:
    layer = step.layer
    is_layer = isinstance(layer, keras.layers.Layer)
    policy = (layer.compute_dtype, layer.variable_dtype, layer.autocast, layer.trainable) if is_layer else ()
    return type(layer), rule.key(step), policy, tuple(step.inputs), tuple(step.outputs), keys.frozen(step.arguments)


def _reasons_of_call(rule: Any, step: Any) -> list[str]:
    layer, reasons = step.layer, []
    args, kwargs = step.arguments
    if isinstance(layer, keras.layers.Layer):
        beside = (args, {name: value for name, value in kwargs.items() if name not in (rule.arguments or ())})
        extra = [value for value in keras.tree.flatten(beside) if not isinstance(value, Slot) and value is not None]
        if extra and rule.arguments is not None:
            reasons.append(f"{describe(layer)} is called with arguments beside its inputs: leave them out")
        if not keys.is_penalty(layer.activity_regularizer):
            reasons.append(f"{describe(layer)} has an activity regularizer of its own: use L1, L2 or L1L2")
        reasons += [
            f"{describe(layer)} has a regularizer of its own on {variable.name}: use L1, L2 or L1L2"
            for variable in layer.trainable_variables
            if not keys.is_penalty(variable.regularizer)
        ]
        reasons += [
            f"{describe(layer)} has a constraint of its own on {variable.name}: use one of keras.constraints"
            for variable in layer.trainable_variables
            if not keys.is_constraint(variable.constraint)
        ]
    return reasons


def _reasons_of_training(model: Any) -> list[str]:
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return [f"the Keras backend {keras.backend.backend()!r} compiles no epochs: use tensorflow or jax"]
    if not getattr(model, "compiled", False):
        return [f"model {model.name!r} is not compiled: call compile() in build"]
    if not model.built:
        return [f"the inputs of model {model.name!r} are not known before it trains: begin it with keras.Input"]
    if model._compile_loss is None:
        return [f"model {model.name!r} is compiled without a loss: give one"]
    if model.run_eagerly:
        return [f"model {model.name!r} runs eagerly: compile it with run_eagerly=False"]
    own = [name for name in _TRAINING_METHODS if getattr(type(model), name) is not getattr(_base(model), name)]
    return [f"model {model.name!r} overrides {name}: fused trials train as keras.Model does" for name in own]


def _base(model: Any) -> Any:
    return keras.Sequential if isinstance(model, keras.Sequential) else keras.Model
