"""Trains trials in workers on a Ray cluster; the only file that imports ray."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle

from kt_suite.errors import InputError, MissingExtraError, WorkerError, rule
from kt_suite.executors.base import Event, ReportHandler, TrialSpec
from kt_suite.executors.remote import RemoteWorker, read_files, write_files
from kt_suite.executors.shared_data import TravellingStore
from kt_suite.executors.workers import Worker, WorkerExecutor, WorkerLostError, check_count, not_picklable

Needs = dict[str, float]

_TOKEN = "search.token"  # noqa: S105 - a file's name
_NAMED = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}


class RayExecutor(WorkerExecutor):
    """Workers on a Ray cluster: Ray places, starts and watches them; proposals, decisions and retries stay here.

    A worker gets an attempt when it is ready, never before, so that no trial waits for a machine that does not come.
    Data are put into the object store once. Where workers see the project directory under its path, attempts write
    there; elsewhere what they write is brought here with each report. Workers leave when this process is gone.

    Args:
        max_workers: Number of workers at most; as many as the machines of the cluster hold, also those that join
            later, if ``None``.
        address: Address of a cluster, such as ``"10.0.0.1:6379"`` or ``"auto"``; ``"local"`` for one of this machine
            that ends with the search. ``None`` for ``RAY_ADDRESS`` if that is set, else ``"local"``. A connection that
            this process has already is used as it is.
        resources: What a trial needs, such as ``{"CPU": 2, "GPU": 0.5}``, or a function that says so of the values of
            a trial; one core, and one GPU where there are any, if ``None``.
        runtime_env: Ray's description of what machines must have to run the code, such as ``{"working_dir": "."}``.
        shared_directory: Whether workers that see the project directory under its path may write there.
        trials_per_worker: Attempts after which a worker is replaced, against the growth of TensorFlow's memory;
            ``None`` for no end.
        memory_limit: Bytes of resident memory beyond which a worker is replaced between attempts; ``None`` for no
            limit.
        trial_timeout: Seconds after which an attempt is ended as failed; ``None`` for no limit.
        checkpoint_interval: Seconds after which an attempt leaves, at the end of an epoch, what a retry goes on from
            if the worker or its machine is lost; ``None`` to have retries begin at the beginning.
        patience: Seconds to wait for a machine that is large enough for a trial.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: An argument out of its range.
    """

    name = "ray"

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        address: str | None = None,
        resources: Mapping[str, float] | Callable[[dict[str, Any]], Mapping[str, float]] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        shared_directory: bool = True,
        trials_per_worker: int | None = 64,
        memory_limit: int | None = None,
        trial_timeout: float | None = None,
        checkpoint_interval: float | None = 60.0,
        patience: float = 60.0,
    ) -> None:
        super().__init__(
            trials_per_worker=trials_per_worker,
            memory_limit=memory_limit,
            trial_timeout=trial_timeout,
            checkpoint_interval=checkpoint_interval,
        )
        check_count("max_workers", max_workers)
        _import_ray()
        self._max_workers = max_workers
        self._address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._resources = resources if resources is None or callable(resources) else _checked(resources)
        self._runtime_env = dict(runtime_env or {})
        self._shared_directory = shared_directory
        self._patience = patience
        self._is_ours = False
        self._token: Path | None = None
        self._waiting: list[tuple[TrialSpec, Needs]] = []
        self._ended: list[Event] = []
        self._looked_at = 0.0

    def explain(self) -> str:
        if self._resources is None:
            each = "one core, or one GPU, each"
        else:
            each = "resources by trial" if callable(self._resources) else f"{self._resources} each"
        number = "workers" if self._max_workers is None else f"at most {self._max_workers} workers"
        return f"{number} on Ray ({self._address}), {each}"

    def open(self, runner: Any, report: ReportHandler, should_stop: Callable[[], bool] | None = None) -> None:
        super().open(runner, report, should_stop)
        ray = self._connect()
        shipped = self._shipped(runner, TravellingStore())
        try:
            payload = ray.put(shipped)
        except Exception as error:
            raise not_picklable(shipped.hypermodel, error) from error
        self._token = Path(runner.project_dir) / _TOKEN
        content = uuid.uuid4().hex if self._shared_directory else ""
        self._token.write_text(content or "not shared", encoding="utf-8")
        folder = None if "working_dir" in self._runtime_env else str(Path.cwd())
        self._shared = {"search_path": [*sys.path], "folder": folder, "token": (str(self._token), content)}
        self._payload = payload
        if self._resources is None:
            has_gpus = ray.cluster_resources().get("GPU", 0) > 0
            self._resources = {"CPU": 1.0, "GPU": 1.0} if has_gpus else {"CPU": 1.0}
        self._look_around()

    def _connect(self) -> Any:
        ray = _import_ray()
        if ray.is_initialized():
            return ray
        # Ray's news of lost workers come to us as events; its own lines would tear the display.
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._runtime_env:
            options["runtime_env"] = self._runtime_env
        if self._address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            options["include_dashboard"] = False
        try:
            # An address always: without one, Ray follows the traces of a cluster that may be long gone.
            ray.init(address=self._address, **options)
        except Exception as error:  # Ray raises a bare one where it takes too long to start
            raise WorkerError(rule("A Ray cluster", f"answer at {self._address}", str(error))) from error
        self._is_ours = True
        return ray

    # Slots: with the same resources for all, a slot is a worker that is ready. Where they depend on the values of a
    # trial, a worker can only be asked for once there is a trial, and a slot is a permission to have one.

    def slots(self) -> list[str]:
        if not callable(self._resources):
            return super().slots()
        at_work = [worker.spec for worker in self._workers if worker.spec is not None]
        taken = {spec.trial.record.slot for spec in (*at_work, *(spec for spec, _ in self._waiting))}
        number = self._max_workers or max(1, int(_import_ray().cluster_resources().get("CPU", 1)))
        return [slot for slot in (f"worker{index}" for index in range(number)) if slot not in taken]

    def submit(self, spec: TrialSpec) -> None:
        if not callable(self._resources):
            super().submit(spec)
            return
        self._waiting.append((spec, _checked(self._resources(dict(spec.trial.hyperparameters.values)))))
        self._bind()

    def stop(self, trial_id: str) -> None:
        super().stop(trial_id)
        for item in [item for item in self._waiting if item[0].trial_id == trial_id]:
            self._waiting.remove(item)
            self._ended.append(Event("pruned", trial_id, item[0].attempt))

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        if time.monotonic() - self._looked_at > 1.0:
            self._look_around()
        yield from super().events(timeout)
        self._bind()
        ended, self._ended = self._ended, []
        yield from ended

    def _heard(self, timeout: float) -> Sequence[_Actor]:
        ray = _import_ray()
        if not self._workers:
            time.sleep(min(timeout, 0.1))
            return []
        by_answer = {worker.answer: worker for worker in self._workers}
        ray.wait([*by_answer], num_returns=1, timeout=timeout, fetch_local=False)
        ready, _ = ray.wait([*by_answer], num_returns=len(by_answer), timeout=0, fetch_local=False)
        return [by_answer[answer] for answer in ready]

    def _take(self, worker: Any, kind: str, *rest: Any) -> Iterator[Event]:
        if kind == "place":
            worker.machine, worker.is_shared = rest
            return
        if kind in ("report", "event") and not worker.is_shared:
            if worker.spec is not None:
                write_files(Path(worker.spec.directory), rest[-1])
            rest = rest[:-1]
        yield from super()._take(worker, kind, *rest)

    def _bind(self) -> None:
        """Gives waiting trials to ready workers that suit them, and asks for workers that are lacking."""
        for item in list(self._waiting):
            spec, needs = item
            idle = next((one for one in self._workers if one.is_idle and one.needs == needs), None)
            if idle is not None:
                self._waiting.remove(item)
                idle.slot = spec.trial.record.slot
                idle.run(spec)
        if not self._waiting:
            return
        lacking = Counter(_key(needs) for _, needs in self._waiting)
        lacking.subtract(_key(worker.needs) for worker in self._workers if not worker.is_ready)
        for worker in [one for one in self._workers if one.spec is None]:
            key = _key(worker.needs)
            if worker.is_ready or lacking[key] < 0:  # it holds what a trial waits for, and suits none
                lacking[key] += not worker.is_ready
                self._dismiss(worker)
        for key, number in lacking.items():
            for _ in range(number):
                self._hire(f"pending{len(self._workers)}", dict(key))

    def _hire(self, slot: str, needs: Needs) -> None:
        self._workers.append(_Actor(slot, needs, self._payload, self._shared, self._runtime_env))

    def _dismiss(self, worker: _Actor) -> None:
        worker.end()
        self._workers.remove(worker)

    def _look_around(self) -> None:
        """Follows machines that join and leave; gives up what no machine could hold."""
        self._looked_at = time.monotonic()
        machines = [node["Resources"] for node in _import_ray().nodes() if node["Alive"]]
        if not callable(self._resources):
            needs = dict(self._resources or {})
            number = self._max_workers or max(1, sum(_num_fitting(machine, needs) for machine in machines))
            for worker in [one for one in self._workers[number:] if one.spec is None]:
                self._dismiss(worker)
            taken = {worker.slot for worker in self._workers}
            free = (name for index in range(number) if (name := f"worker{index}") not in taken)
            for _ in range(number - len(self._workers)):
                self._hire(next(free), needs)
        for worker in list(self._workers):
            is_possible = worker.is_ready or any(_num_fitting(machine, worker.needs) for machine in machines)
            worker.impossible_since = None if is_possible else worker.impossible_since or time.monotonic()
            if not is_possible and time.monotonic() - worker.impossible_since > self._patience:
                self._give_up(worker)

    def _give_up(self, worker: _Actor) -> None:
        message = rule("The resources of a trial", "fit a machine of the cluster", worker.needs)
        if not callable(self._resources):
            raise WorkerError(message)
        self._dismiss(worker)
        for item in [item for item in self._waiting if item[1] == worker.needs]:
            self._waiting.remove(item)
            self._ended.append(Event("failed", item[0].trial_id, item[0].attempt, message=message, is_final=True))

    def close(self) -> None:
        super().close()
        self._waiting, self._ended = [], []
        if self._token is not None:
            self._token.unlink(missing_ok=True)
            self._token = None
        if self._is_ours:
            self._is_ours = False
            _import_ray().shutdown()


class _Actor(Worker):
    """A Ray actor, and the call whose answer will be its next message."""

    def __init__(self, slot: str, needs: Needs, payload: Any, shared: dict[str, Any], runtime_env: Any) -> None:
        super().__init__()
        self.slot = slot
        self.needs = needs
        self.impossible_since: float | None = None
        self._payload = payload
        self._shared = shared
        self._runtime_env = runtime_env
        self._start()

    def _start(self) -> None:
        self.begin()
        self.machine, self.is_shared = "", True
        options: dict[str, Any] = {"num_cpus": 0}
        options |= {_NAMED[name]: amount for name, amount in self.needs.items() if name in _NAMED}
        options["resources"] = {name: amount for name, amount in self.needs.items() if name not in _NAMED}
        if self._runtime_env:
            options["runtime_env"] = self._runtime_env
        threads = max(1, int(self.needs.get("CPU", 1)))
        self._actor = _actor_class().options(**options).remote([self._payload], threads=threads, **self._shared)
        self._ask()

    def _ask(self) -> None:
        self.answer = self._actor.collect.options(concurrency_group="collect").remote()

    def run(self, spec: TrialSpec) -> None:
        if self.is_shared:
            super().run(spec)
            return
        self.spec, self.began = spec, time.monotonic()
        own, parents = read_files(spec.directory), read_files(spec.parent_directory)
        self.send("run", cloudpickle.dumps(spec), own, parents)

    def send(self, *message: Any) -> None:
        with contextlib.suppress(_import_ray().exceptions.RayError):
            self._actor.post.options(concurrency_group="post").remote(*message)

    def receive(self) -> tuple[Any, ...]:
        ray = _import_ray()
        try:
            message: tuple[Any, ...] | None = ray.get(self.answer)
        except ray.exceptions.RayError as error:  # one that cannot be reached now is as good as dead: see _start
            machines = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            is_blameless = bool(getattr(error, "preempted", False)) or self.machine not in {"", *machines}
            raise WorkerLostError(f"{type(error).__name__}: {error}", is_blameless=is_blameless) from error
        self._ask()
        return ("nothing",) if message is None else message

    def restart(self) -> None:
        self.end()
        self._start()

    def end(self) -> None:
        ray = _import_ray()
        if ray.is_initialized():
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                ray.kill(self._actor, no_restart=True)


class _RayWorker(RemoteWorker):
    """What runs in the actor.

    Args:
        payload: The reference to the shipped tuner, in a list: Ray would fetch it too soon otherwise.
        **options: As for ``RemoteWorker``.
    """

    def __init__(self, payload: list[Any], **options: Any) -> None:
        ray = _import_ray()
        super().__init__(lambda: ray.get(payload[0]), place=ray.get_runtime_context().get_node_id(), **options)


@functools.cache
def _actor_class() -> Any:
    # Retries are the driver's. One thread for each direction: messages keep their order, and one that is waited for
    # holds no other up.
    options = {"max_restarts": 0, "max_task_retries": 0, "concurrency_groups": {"post": 1, "collect": 1}}
    return _import_ray().remote(**options)(_RayWorker)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


def _checked(needs: Any) -> Needs:
    if not isinstance(needs, Mapping) or not all(
        isinstance(name, str) and isinstance(amount, (int, float)) and amount >= 0 for name, amount in needs.items()
    ):
        example = 'Such as {"CPU": 2, "GPU": 0.5}.'
        raise InputError(rule("resources", "be a mapping of names to amounts of at least 0", needs, example))
    return {name: float(amount) for name, amount in needs.items() if amount}


def _key(needs: Needs) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(needs.items()))


def _num_fitting(machine: Mapping[str, float], needs: Needs) -> int:
    """Returns how many workers with such needs a machine holds when it is empty."""
    return min((int(machine.get(name, 0.0) / amount + 1e-9) for name, amount in needs.items()), default=1)
