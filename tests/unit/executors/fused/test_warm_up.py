"""Programs that a thread compiles beforehand: those that are used then, and with the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

import kt_suite
from kt_suite.executors.fused import program
from kt_suite.executors.fused.member import Data, Member, Options
from kt_suite.executors.fused.program import Program
from kt_suite.executors.fused.stack import Stack


@pytest.fixture(autouse=True)
def _no_programs_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_programs", type(program._programs)())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """Returns the programs that are made, as they are."""
    found: list[Program] = []
    original = Program.__init__

    def remember(self: Program, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        found.append(self)

    monkeypatch.setattr(Program, "__init__", remember)
    return found


def stack(rows: Any) -> Stack:
    keras.utils.set_random_seed(0)
    models = [keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")]) for _ in range(3)]
    for rate, model in enumerate(models, 1):
        model.compile(keras.optimizers.Adam(0.01 * rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    members = [Member(model, seed) for seed, model in enumerate(models)]
    return Stack(members, Data(*rows, validation=rows), Options(batch_size=8, xla=False))


def test_a_stack_that_was_warmed_up_trains_as_any_other_by_the_same_program(rows: Any) -> None:
    wanted = stack(rows).train_epoch(validate=True)
    program._programs.clear()
    warmed = stack(rows)
    warmed.warm_up(validate=True)
    assert warmed.train_epoch(validate=True) == wanted
    assert warmed._program.run.experimental_get_tracing_count() == 1


def test_a_program_that_fails_to_compile_beforehand_fails_when_it_trains(
    rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def get_concrete_function(self, *_: Any) -> None:
            """Can be traced."""

        def __call__(self, *_: Any) -> None:
            raise ValueError("no such operation")

    broken = stack(rows)
    monkeypatch.setattr(broken._program, "run", Broken())
    broken.warm_up(validate=False)
    with pytest.raises(ValueError, match="no such operation"):
        broken.train_epoch()


@pytest.mark.parametrize(
    ("widths", "memory_limit", "is_foreseen"), [((4, 4), None, True), ((4, 8), None, False), ((4, 4), 5000, False)]
)
def test_models_alike_share_a_program_compiled_while_they_are_built_if_memory_holds_them(
    rows: Any,
    tmp_path: Path,
    made: list[Program],
    monkeypatch: pytest.MonkeyPatch,
    widths: tuple[int, int],
    memory_limit: int | None,
    is_foreseen: bool,
) -> None:
    begun = []
    original = Stack.train_epoch

    def note(self: Stack, **kwargs: Any) -> Any:
        begun.append((self._program, self._program._warming is not None))
        return original(self, **kwargs)

    monkeypatch.setattr(Stack, "train_epoch", note)

    def build(hp: Any) -> Any:
        units, rate = hp.Int("units", *widths), hp.Float("rate", 1e-3, 1e-1, sampling="log")
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(units), keras.layers.Dense(3, "softmax")])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        return model

    x, y = rows
    executor = kt_suite.executors.FusedExecutor(memory_limit=memory_limit)
    options: dict[str, Any] = {"seed": 1, "directory": tmp_path, "tensorboard": None}
    tuner = kt_suite.RandomSearch(build, "loss", max_trials=20, executor=executor, **options)
    tuner.search(x, y, epochs=1, verbose=0)
    assert {one for one, _ in begun} == set(made)
    assert [is_warming for _, is_warming in begun] == ([True] if is_foreseen else [False] * len(begun))
    assert len(tuner.oracle.get_best_trials(20)) == 20
