"""Many runs trained side by side in one compiled program, each exactly as ``model.fit`` would train it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kt_suite.executors.fused import backend as backends
from kt_suite.executors.fused.compiling import can_compile, compile_seconds, worth_compiling, worth_moving
from kt_suite.executors.fused.feed import Feed
from kt_suite.executors.fused.graph import outputs_of
from kt_suite.executors.fused.group import Group
from kt_suite.executors.fused.losses import terms_of
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.metrics import measures_of
from kt_suite.executors.fused.optimizers import inner_of
from kt_suite.executors.fused.program import Program, program_for
from kt_suite.executors.fused.schedules import schedule_values
from kt_suite.executors.fused.shards import Shard, joined, on_all_cores, shard_size, split
from kt_suite.executors.fused.snapshot import Snapshot, gather, scatter, snapshot_of, weights_of
from kt_suite.executors.fused.unfusable import Unfusable
from kt_suite.executors.fused.view import View, view_of


class Stack:
    """Members of one skeleton, trained in step.

    Positions are those of the list of members: ``remove`` closes the gaps, ``add`` appends. Logs have the names and
    values that ``model.fit`` gives to ``on_epoch_end``. A member whose numbers become NaN never touches another.

    Args:
        members: At least one; their skeletons are equal.
        data: What they train on.
        options: How.
        expected: Members to lay the program out for, if more are to come.

    Raises:
        kt_suite.executors.fused.Unfusable: The members cannot share a program, or not with this data.
    """

    def __init__(self, members: Sequence[Member], data: Data, options: Options, *, expected: int = 0) -> None:
        self.options, self._expected = options, expected
        self.epoch = 0
        self._feed = Feed(members[0].model, data, options)
        self._members = list(members)
        self._views: list[View] = []
        self._rates: list[Any] = []
        self._group: Any = None
        self._program: Any = None
        self._size = 0
        self._join(members)
        self._pack(self._starts(members))

    def _join(self, members: Sequence[Member]) -> None:
        views = [view_of(member.model).checked() for member in members]
        first = self._views[0] if self._views else views[0]
        if any(view.key != first.key for view in views):
            raise Unfusable(
                ["the models differ in more than widths, numbers and activations: train them in two groups"]
            )
        self._views += views
        self._rates += [_rate(view.model.optimizer) for view in views]

    def _starts(self, members: Sequence[Member]) -> list[Snapshot]:
        return [one.start or Snapshot.of(view_of(one.model)) for one in members]

    def _pack(self, snapshots: Sequence[Snapshot]) -> None:
        """Lays members out on places, from the states they are in."""
        targets = self._feed.targets
        self._terms = [terms_of(view.model, targets, checks=view is self._views[0]) for view in self._views]
        group = Group(self._views, self._terms, self._group)
        self._size = max(self._size, shard_size(group, self._feed.batch_size, max(len(self), self._expected)))
        group.num_places = self._num_places()
        self._lay_out(group, gather(group, snapshots))

    def _num_places(self) -> int:
        return -(-max(len(self), self._expected) // self._size) * self._size

    def _lay_out(self, group: Group, state: Any) -> None:
        """Has members take the first places of a group, from a state as arrays."""
        self._group = group
        self._places = list(range(len(self)))
        self._shards = split(group.constants([member.seed for member in self._members]), state, self._size)
        self._feed.prepare(self._members, group)
        self._measures = measures_of(self._views[0].model, self._feed.targets)
        self._take(self._program_of(xla=self._uses_xla()))

    def _take(self, program: Program) -> None:
        """Trains by a program from now on; how fast is to be measured."""
        if program is not self._program:
            self._program_seconds = compile_seconds(self._group)
        self._program, self._epoch_seconds = program, 0.0

    def _program_of(self, *, xla: bool) -> Program:
        return program_for(
            self._feed.signature,
            self._group.of_size(self._size),
            self._terms[0],
            self._measures,
            is_ragged=self._feed.is_ragged,
            xla=xla,
        )

    def _uses_xla(self) -> bool:
        if self.options.xla is not None:
            return self.options.xla
        if self._program is not None and self._program.xla:
            return True  # it is compiled
        return can_compile(self._group) and worth_compiling(self._group, self._feed, self.options.epochs - self.epoch)

    def _reconsider(self, seconds: float) -> None:
        """Lets XLA compile the program after all where an epoch was measured to take long."""
        left = self.options.epochs - self.epoch
        if not can_compile(self._group):
            return
        if self.options.xla is None and not self._program.xla and seconds * left > 3 * compile_seconds(self._group):
            self._take(self._program_of(xla=True))

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[Member, ...]:
        """The members by position."""
        return tuple(self._members)

    @property
    def steps(self) -> int | None:
        """Batches of an epoch (the most of any member); ``None`` for a stream before its first epoch."""
        return self._feed.steps

    @property
    def batch_size(self) -> int:
        """Rows of a batch, as far as known."""
        return self._feed.batch_size

    def warm_up(self, *, validate: bool) -> None:
        """Has another thread compile the program of the first epoch, which then waits for it.

        Args:
            validate: Whether that epoch is to be evaluated.
        """
        if not (self._program.can_warm_up and self._feed.is_all_resident):
            return
        iterations = self._iterations()
        ((chunk, _),) = self._feed.training(self.epoch, iterations, None)
        training = {**chunk, "rates": self._rates_of(iterations, 0, chunk["order"].shape[0], None)}
        tests, empty = validate and self._feed.has_resident_validation, self._program.empty_sums()
        validation = self._shards[0].of(self._feed.validation()) if tests else None
        shard = self._shards[0]
        arguments = (shard.constants, shard.state, shard.of(training), empty, validation, empty if tests else None)
        self._program.warm_up(arguments)

    def train_epoch(
        self, *, validate: bool = False, learning_rates: np.ndarray | None = None, order: np.ndarray | None = None
    ) -> list[dict[str, float]]:
        """Trains all members for one epoch.

        Args:
            validate: Whether to evaluate after it, in the same program: logs then hold ``val_`` names too.
            learning_rates: Rates of shape ``(len(self), steps)``, in place of the optimizers' own, as from a callback
                that sets one at each batch. Of shape ``(len(self),)`` for one a member.
            order: Order of the rows of this epoch, of shape ``(n,)``, in place of a drawn one.

        Returns:
            The logs of each member.
        """
        self._move_together()
        self._program.wait()
        started, program = time.perf_counter(), self._program
        was_warm = program.is_warm
        iterations = self._iterations()
        sums: list[Any] = [program.empty_sums()] * len(self._shards)
        test_sums, has_validated = sums, False
        chunks = self._feed.training(self.epoch, iterations, order)
        start = 0
        for chunk, is_last in chunks:
            steps = chunk["order"].shape[0]
            training = {**chunk, "rates": self._rates_of(iterations, start, steps, learning_rates)}
            start += steps
            has_validated = validate and is_last and self._feed.has_resident_validation
            validation = self._feed.validation() if has_validated else None
            empty = [program.empty_sums()] * len(self._shards) if has_validated else None
            sums, test_sums = self._run(training, sums, validation, empty)
        self.epoch += 1
        logs = self._logs(sums, "")
        seconds = time.perf_counter() - started
        if was_warm:
            self._epoch_seconds = seconds
            self._reconsider(seconds)
        else:
            self._program_seconds = seconds
        if validate:
            tested = self._logs(test_sums, "val_") if has_validated else self.evaluate()
            logs = [{**own, **other} for own, other in zip(logs, tested, strict=True)]
        return logs

    def evaluate(self) -> list[dict[str, float]]:
        """Returns each member's logs on the validation data, with ``val_`` names."""
        sums: list[Any] = [self._program.empty_sums()] * len(self._shards)
        for chunk in self._feed.validations():
            _, sums = self._run(None, None, chunk, sums)
        return self._logs(sums, "val_")

    def _run(self, training: Any, sums: Any, validation: Any, test_sums: Any) -> tuple[list[Any], list[Any]]:
        """Runs the program on each shard; returns their sums of training and of validation."""
        program = self._program

        def run(shard: Shard) -> tuple[Any, Any]:
            index = shard.start // self._size
            shard.state, *made = program.run(
                shard.constants,
                shard.state,
                shard.of(training),
                sums and sums[index],
                shard.of(validation),
                test_sums and test_sums[index],
            )
            return made[0], made[1]

        done = on_all_cores(run, self._shards, first_alone=not program.is_warm)
        program.is_warm = True
        return [own for own, _ in done], [own for _, own in done]

    def predict(self) -> list[Any]:
        """Returns each member's outputs on its validation rows, as ``model.predict`` does."""
        pieces: list[list[np.ndarray]] = []
        for inputs in self._feed.inputs():
            made = [
                self._program.predict(shard.constants, shard.state["weights"], shard.own_inputs(inputs))
                for shard in self._shards
            ]
            pieces.append(joined(made))
        whole = [np.concatenate(parts, axis=1) for parts in zip(*pieces, strict=True)]
        structure = outputs_of(self._views[0].model)
        found = []
        for place in self._places:
            count = self._feed.num_validation_rows(place)
            own = [value[min(place, len(value) - 1)][:count] for value in whole]
            found.append(keras.tree.pack_sequence_as(structure, own) if len(own) > 1 else own[0])
        return found

    def _iterations(self) -> np.ndarray:
        """Returns the steps that each place has taken."""
        return np.concatenate([backends.to_numpy(shard.state["steps"]) for shard in self._shards])

    def _logs(self, sums: list[Any], prefix: str) -> list[dict[str, float]]:
        logs = self._program.logs(joined(sums))
        return [{prefix + name: values[place] for name, values in logs.items()} for place in self._places]

    def _rates_of(self, iterations: np.ndarray, start: int, steps: int, given: np.ndarray | None) -> Any:
        """Returns the learning rates of some steps, ``(steps, places)``."""
        rates = np.zeros((steps, self._group.num_places))
        for position, place in enumerate(self._places):
            if given is not None:
                own = np.asarray(given[position])
                rates[:, place] = own if own.ndim == 0 else _padded(own[start : start + steps], steps)
            elif isinstance(self._rates[position], float):
                rates[:, place] = self._rates[position]
            else:
                rates[:, place] = schedule_values(self._rates[position], int(iterations[place]) + start, steps)
        return rates.astype(keras.config.floatx())

    def remove(self, positions: Sequence[int]) -> None:
        """Takes members out of the stack. Write back first what is still needed of them."""
        gone = set(positions)
        kept = [position for position in range(len(self)) if position not in gone]
        self._members = [self._members[position] for position in kept]
        self._views = [self._views[position] for position in kept]
        self._rates = [self._rates[position] for position in kept]
        self._places = [self._places[position] for position in kept]
        if self._members and -(-len(self) // self._size) < len(self._shards):
            self._close_gaps()

    def _close_gaps(self) -> None:
        """Moves the members to the fewest places of the size that there is; the same program trains them."""
        places = np.array(self._places)
        group = self._group.only(self._places, self._num_places())
        kept = np.concatenate([places, np.full(group.num_places - len(places), places[0])])
        state = keras.tree.map_structure(lambda array: array[kept], joined([shard.state for shard in self._shards]))
        self._lay_out(group, state)

    def _move_together(self) -> None:
        """Moves members left on few of their places to a smaller program, if it saves more than it costs."""
        size = shard_size(self._group, self._feed.batch_size, len(self))
        places = 1 - -(-len(self) // size) * size / self._group.num_places
        left = self.options.epochs - self.epoch
        if worth_moving(self._program_seconds, self._epoch_seconds, left, places):
            self._size = size
            self._close_gaps()

    def _snapshots(self) -> list[Snapshot]:
        return scatter(self._group, joined([shard.state for shard in self._shards]), self._places)

    def add(self, members: Sequence[Member]) -> None:
        """Appends members, with the weights and optimizer state that their models have."""
        snapshots = self._snapshots()
        self._join(members)
        self._members += members
        self._pack(snapshots + self._starts(members))

    def on_host(self, *, weights_only: bool) -> Callable[[int], Snapshot]:
        """Returns a function that gives a member's state as it is now, all taken off the device at once."""
        states = [weights_of(shard.state) if weights_only else shard.state for shard in self._shards]
        state, places, group = joined(states), self._places, self._group
        return lambda at: snapshot_of(group, state, places[at], places[at], self._constant_rate(at))

    def weights(self, position: int) -> list[np.ndarray]:
        """Returns a member's weights, in the order and the shapes of its ``model.get_weights()``."""
        return self._snapshot(position).weights

    def _snapshot(self, position: int) -> Snapshot:
        place = self._places[position]
        shard = self._shards[place // self._size]
        return snapshot_of(self._group, shard.state, place - shard.start, place, self._constant_rate(position))

    def _constant_rate(self, position: int) -> float | None:
        rate = self._rates[position]
        return rate if isinstance(rate, float) else None

    def write_back(self, position: int) -> None:
        """Sets the weights of a member's model, and the state of its optimizer (iterations, moments, rate)."""
        self._snapshot(position).write(self._views[position])

    def load(self, position: int) -> None:
        """Takes weights and optimizer state from a member's model, as after ``load_weights``."""
        snapshots = self._snapshots()
        snapshots[position] = Snapshot.of(self._views[position])
        self._rates[position] = _rate(self._views[position].model.optimizer)
        self._pack(snapshots)

    def get_number(self, position: int, name: str) -> float:
        """Returns a number of a member's optimizer, such as ``"learning_rate"``."""
        if name == "learning_rate":
            rate = self._rates[position]
            if isinstance(rate, float):
                return rate
            iterations = int(self._iterations()[self._places[position]])
            return float(schedule_values(rate, iterations, 1)[0])
        return float(getattr(inner_of(self._views[position].model.optimizer), name))

    def set_number(self, position: int, name: str, value: float) -> None:
        """Sets a number of a member's optimizer, such as ``"learning_rate"``."""
        if name == "learning_rate":
            self._rates[position] = float(value)
            return
        setattr(inner_of(self._views[position].model.optimizer), name, value)
        self._pack(self._snapshots())

    @property
    def nbytes(self) -> int:
        """Bytes that one member takes: its padded weights, optimizer state and gradients, and a step's activations."""
        state = self._shards[0].state
        held = sum(int(np.prod(array.shape)) * _itemsize(array) for array in keras.tree.flatten(state))
        weights = sum(int(np.prod(array.shape)) * _itemsize(array) for array in state["weights"])
        return (2 * held + weights) // self._size + self._feed.step_bytes


def _itemsize(array: Any) -> int:
    return int(np.dtype(keras.backend.standardize_dtype(array.dtype).replace("bfloat16", "float16")).itemsize)


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.full(size - len(values), values[-1] if len(values) else 0.0)])


def _rate(optimizer: Any) -> Any:
    """Returns the learning rate of an optimizer, or its schedule."""
    rate = inner_of(optimizer)._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate
    if callable(rate) and not hasattr(rate, "assign"):
        raise Unfusable(["the learning rate is a function: use a number or a LearningRateSchedule"])
    return float(backends.to_numpy(rate))
