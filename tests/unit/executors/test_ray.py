"""Which workers the Ray executor asks for, and who gets them: on a cluster that only says what it has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kt_suite.errors import InputError, WorkerError

pytest.importorskip("ray", reason="needs the extra `ray`")

from kt_suite.executors import ray as module
from kt_suite.executors.ray import RayExecutor

pytestmark = pytest.mark.ray


class FakeActor:
    """A worker that is ready when the test says so."""

    def __init__(self, slot: str, needs: dict[str, float], *shipped: Any) -> None:
        self.slot, self.needs = slot, needs
        self.is_ready, self.is_ended = False, False
        self.spec: Any = None
        self.impossible_since: float | None = None

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.spec is None

    def run(self, spec: Any) -> None:
        self.spec = spec

    def end(self) -> None:
        self.is_ended = True


class FakeCluster:
    """Stands for ray: machines with resources."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines = list(machines)

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": machine} for machine in self.machines]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": sum(machine.get("CPU", 0) for machine in self.machines)}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster({"CPU": 2.0})
    monkeypatch.setattr(module, "_import_ray", lambda: cluster)
    monkeypatch.setattr(module, "_Actor", FakeActor)
    return cluster


def opened(**options: Any) -> Any:
    """Returns an executor as it is after ``open``, as far as workers go."""
    executor = RayExecutor(**options)
    executor._payload, executor._shared = None, {}
    executor._look_around()
    return executor


def spec(number: int, slot: str = "worker0", **values: Any) -> Any:
    hyperparameters = SimpleNamespace(values=values)
    trial = SimpleNamespace(record=SimpleNamespace(slot=slot), hyperparameters=hyperparameters)
    return SimpleNamespace(trial=trial, trial_id=f"{number:04d}", attempt=1)


def by_size(values: dict[str, Any]) -> dict[str, float]:
    return {"CPU": values["size"]}


def make_ready(executor: Any) -> None:
    for worker in executor._workers:
        worker.is_ready = True


def test_a_slot_is_a_worker_that_is_ready(cluster: FakeCluster) -> None:
    executor = opened(resources={"CPU": 1})
    assert [worker.slot for worker in executor._workers] == ["worker0", "worker1"]
    assert executor.slots() == []
    executor._workers[1].is_ready = True
    assert executor.slots() == ["worker1"]
    executor.submit(spec(0, "worker1"))
    assert executor.capacity() == 0


def test_machines_that_join_get_workers_and_idle_workers_go_with_machines_that_leave(cluster: FakeCluster) -> None:
    executor = opened(resources={"CPU": 1})
    cluster.machines.append({"CPU": 1.5})
    executor._look_around()
    assert [worker.slot for worker in executor._workers] == ["worker0", "worker1", "worker2"]
    executor._workers[2].spec = spec(0)
    del cluster.machines[0]
    executor._look_around()
    assert [worker.slot for worker in executor._workers] == ["worker0", "worker2"]


def test_never_more_workers_than_asked_for(cluster: FakeCluster) -> None:
    assert len(opened(max_workers=1, resources={"CPU": 0.5})._workers) == 1


@pytest.mark.parametrize(
    ("needs", "number"),
    [({"CPU": 0.1}, 20), ({"CPU": 2, "GPU": 0.5}, 2), ({"CPU": 3}, 0), ({"TPU": 1}, 0), ({}, 1)],
)
def test_how_many_workers_a_machine_holds(needs: dict[str, float], number: int) -> None:
    assert module._num_fitting({"CPU": 4.0 if "GPU" in needs else 2.0, "GPU": 1.0}, needs) == number


def test_a_trial_gets_a_ready_worker_of_its_needs_at_once(cluster: FakeCluster) -> None:
    executor = opened(resources=by_size)
    assert executor.slots() == ["worker0", "worker1"]
    executor.submit(spec(0, size=1))
    (worker,) = executor._workers
    assert worker.spec is None, "it is not ready"
    make_ready(executor)
    executor._bind()
    assert worker.spec.trial_id == "0000"
    worker.spec = None
    executor.submit(spec(1, size=1))
    assert executor._workers == [worker]
    assert worker.spec.trial_id == "0001"


def test_an_idle_worker_makes_room_for_a_trial_of_other_needs(cluster: FakeCluster) -> None:
    executor = opened(resources=by_size)
    executor.submit(spec(0, size=1))
    make_ready(executor)
    executor._bind()
    small = executor._workers[0]
    executor.submit(spec(1, "worker1", size=2))
    assert not small.is_ended, "it is at work"
    assert [worker.needs for worker in executor._workers] == [{"CPU": 1.0}, {"CPU": 2.0}]
    small.spec = None
    executor._bind()
    assert small.is_ended, "else the trial would wait for ever"
    assert [worker.needs for worker in executor._workers] == [{"CPU": 2.0}]


def test_a_trial_goes_to_whichever_worker_of_its_needs_is_ready_first(cluster: FakeCluster) -> None:
    executor = opened(resources=by_size)
    executor.submit(spec(0, "worker0", size=1))
    executor.submit(spec(1, "worker1", size=1))
    first, second = executor._workers
    second.is_ready = True
    executor._bind()
    assert (first.spec, second.spec.trial_id) == (None, "0000")


def test_a_trial_that_waits_for_a_worker_can_be_stopped(cluster: FakeCluster) -> None:
    executor = opened(resources=by_size)
    executor.submit(spec(0, size=1))
    executor.stop("0000")
    assert [(event.kind, event.trial_id) for event in executor._ended] == [("pruned", "0000")]
    assert executor.slots() == ["worker0", "worker1"]


def test_what_no_machine_can_hold_is_given_up_after_a_while(cluster: FakeCluster) -> None:
    executor = opened(resources=by_size, patience=0.0)
    executor.submit(spec(0, size=64))
    executor._look_around()
    executor._look_around()
    assert [(event.kind, event.is_final) for event in executor._ended] == [("failed", True)]
    with pytest.raises(WorkerError, match="must fit a machine"):
        opened(resources={"CPU": 64}, patience=0.0)


@pytest.mark.parametrize("resources", [{"CPU": -1}, {"CPU": "two"}, 4])
def test_resources_that_are_none_are_refused(resources: Any) -> None:
    with pytest.raises(InputError, match="resources must be a mapping"):
        RayExecutor(resources=resources)
