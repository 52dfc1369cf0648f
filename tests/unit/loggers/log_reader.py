"""A log directory as TensorBoard's own loader reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata
from tensorboard.util import tensor_util


@dataclass
class Run:
    """All that the event files of one run say, oldest first."""

    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    texts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    experiments: list[Any] = field(default_factory=list)
    starts: list[Any] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    wall_times: list[float] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The hyperparameters of the only session of the run."""
        (start,) = self.starts
        return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}

    def add(self, event: Any, value: Any) -> None:
        """Adds one value of one event."""
        content = value.metadata.plugin_data.content
        if value.tag == metadata.EXPERIMENT_TAG:
            self.experiments.append(metadata.parse_experiment_plugin_data(content))
        elif value.tag == metadata.SESSION_START_INFO_TAG:
            self.starts.append(metadata.parse_session_start_info_plugin_data(content))
        elif value.tag == metadata.SESSION_END_INFO_TAG:
            self.ends.append(metadata.parse_session_end_info_plugin_data(content))
        else:
            item = tensor_util.make_ndarray(value.tensor).item()
            if isinstance(item, bytes):
                self.texts.setdefault(value.tag, []).append((event.step, item.decode()))
            else:
                self.scalars.setdefault(value.tag, []).append((event.step, item))
                self.wall_times.append(event.wall_time)


def read_log(logdir: Path) -> dict[str, Run]:
    """Returns the runs under a directory by their names."""
    runs: dict[str, Run] = {}
    for path in sorted(logdir.rglob("*tfevents*")):
        run = runs.setdefault(path.parent.relative_to(logdir).as_posix(), Run())
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                run.add(event, value)
    return runs


def read_config(logdir: Path) -> Any:
    """Returns the only experiment config under a log directory."""
    (experiment,) = [experiment for run in read_log(logdir).values() for experiment in run.experiments]
    return experiment
