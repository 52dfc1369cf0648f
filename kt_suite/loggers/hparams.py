"""The records of TensorBoard's HParams tab: one experiment, and a session for each run of a trial.

The tab knows three types of hyperparameters, numbers (as float64), booleans and strings, and breaks on a
column that mixes them. A hyperparameter's type therefore follows from its whole domain, never from one value:
see :func:`hparam_kinds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from kt_suite.loggers.event_writer import utf8
from kt_suite.trial import TrialStatus

NUMBER, BOOLEAN, STRING = api_pb2.DATA_TYPE_FLOAT64, api_pb2.DATA_TYPE_BOOL, api_pb2.DATA_TYPE_STRING

OBJECTIVE, EPOCHS, SECONDS = "objective", "epochs", "seconds"
"""Tags of a session's result; the tab's metrics."""

_MAX_EXACT_INT = 2**53  # of float64

_STATUS = {
    TrialStatus.COMPLETED: api_pb2.STATUS_SUCCESS,
    TrialStatus.FAILED: api_pb2.STATUS_FAILURE,
    TrialStatus.INVALID: api_pb2.STATUS_FAILURE,
}


@dataclass(frozen=True)
class SearchColumns:
    """What one search adds to the columns of the HParams tab.

    Attributes:
        objective: What the objective is, such as ``"max val_accuracy"``.
        space: Hyperparameters as config dicts, as in :class:`~kt_suite.loggers.SearchInfo`.
        curves: Tags of the per-epoch scalars, the objective's own first.
        optional: Names of hyperparameters that some trial did not use.
    """

    objective: str
    space: Sequence[Mapping[str, Any]] = ()
    curves: Sequence[str] = ()
    optional: Sequence[str] = field(default_factory=list)


@dataclass
class _Domain:
    """All that the entries of one hyperparameter say, over scopes and searches."""

    values: list[Any] = field(default_factory=list)
    is_enumerated: bool = True
    is_conditional: bool = False

    @property
    def kind(self) -> int:
        if self.values and all(isinstance(value, bool) for value in self.values):
            return int(BOOLEAN)
        return int(NUMBER) if self.values and all(map(_is_exact_number, self.values)) else int(STRING)


def hparam_kinds(space: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Returns the type (``NUMBER``, ``BOOLEAN`` or ``STRING``) of each hyperparameter of a space, by name.

    A domain of finite numbers is ``NUMBER``, of booleans ``BOOLEAN``. Everything else is ``STRING``: mixed
    domains, ``None``, tuples, NaN, infinity, and integers that float64 cannot hold.
    """
    return {name: domain.kind for name, domain in _domains(space).items()}


def session_start(
    group: str, values: Mapping[str, Any], kinds: Mapping[str, int], *, wall_time: float
) -> summary_pb2.Summary.Value:
    """Returns the record that makes a run a session of a group, with its hyperparameters."""
    info = plugin_data_pb2.SessionStartInfo(group_name=utf8(group), start_time_secs=wall_time)
    for name, value in values.items():
        value = _plain(value)
        kind = kinds.get(name, _Domain([value]).kind)
        slot = info.hparams[utf8(name)]
        if kind == BOOLEAN and isinstance(value, bool):
            slot.bool_value = value
        elif kind == NUMBER and _is_exact_number(value):
            slot.number_value = float(value)
        else:
            slot.string_value = utf8(value)
    data = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return _record(metadata.SESSION_START_INFO_TAG, data)


def session_end(status: str, *, wall_time: float) -> summary_pb2.Summary.Value:
    """Returns the record that ends a session.

    The tab knows success and failure only: a trial that was pruned or interrupted is "unknown".
    """
    known = _STATUS.get(status, api_pb2.STATUS_UNKNOWN)
    info = plugin_data_pb2.SessionEndInfo(status=known, end_time_secs=wall_time)
    return _record(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=info))


def experiment(searches: Sequence[SearchColumns]) -> summary_pb2.Summary.Value:
    """Returns the record that fixes the columns of the tab, for all the searches it shows.

    The tab shows the first five hyperparameters and metrics at once. The hyperparameters that have several
    values and are active in every trial of every search come first (``differs``): parallel coordinates leave
    out every trial that lacks a value of a displayed column. The first metric is the objective.
    """
    result = api_pb2.Experiment()
    domains = _domains([entry for search in searches for entry in search.space])
    optional = {name for search in searches for name in search.optional}
    names_of_searches = [{entry["config"]["name"] for entry in search.space} for search in searches]
    for name, domain in sorted(domains.items()):
        is_everywhere = name not in optional and all(name in names for names in names_of_searches)
        _add_hparam(result, name, domain, is_first=is_everywhere and not domain.is_conditional)
    objectives = {search.objective for search in searches}
    title = f"{OBJECTIVE} ({objectives.pop()})" if len(objectives) == 1 else OBJECTIVE
    result.metric_infos.add(name=api_pb2.MetricName(tag=OBJECTIVE), display_name=utf8(title))
    first = [search.curves[0] for search in searches if search.curves]
    others = sorted({tag for search in searches for tag in search.curves[1:]})
    for tag in dict.fromkeys([*first, EPOCHS, SECONDS, *others]):
        result.metric_infos.add(name=api_pb2.MetricName(tag=utf8(tag)))
    return _record(metadata.EXPERIMENT_TAG, plugin_data_pb2.HParamsPluginData(experiment=result))


def _add_hparam(result: api_pb2.Experiment, name: str, domain: _Domain, *, is_first: bool) -> None:
    kind = domain.kind
    info = result.hparam_infos.add(name=utf8(name), type=kind)
    if kind == NUMBER and not domain.is_enumerated:
        info.domain_interval.min_value = float(min(domain.values))
        info.domain_interval.max_value = float(max(domain.values))
    elif domain.is_enumerated:
        convert = {NUMBER: float, BOOLEAN: bool}.get(kind, utf8)
        info.domain_discrete.extend(dict.fromkeys(convert(value) for value in domain.values))
    info.differs = is_first and len({utf8(value) for value in domain.values}) > 1


def _domains(space: Sequence[Mapping[str, Any]]) -> dict[str, _Domain]:
    """Gathers the entries of each name: a name may stand in several scopes, each with its own domain."""
    domains: dict[str, _Domain] = {}
    for entry in space:
        config = entry["config"]
        domain = domains.setdefault(config["name"], _Domain())
        if entry["class_name"] == "Boolean":
            domain.values += [False, True]
        elif "values" in config:
            domain.values += map(_plain, config["values"])
        elif "value" in config:
            domain.values.append(_plain(config["value"]))
        else:
            domain.values += [_plain(config["min_value"]), _plain(config["max_value"])]
            domain.is_enumerated = False
        domain.is_conditional |= bool(config.get("conditions"))
    return domains


def _plain(value: Any) -> Any:
    """Returns a Python scalar for one of NumPy, and lists for tuples, as JSON would."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _is_exact_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _MAX_EXACT_INT if isinstance(value, int) else math.isfinite(value)


def _record(tag: str, data: plugin_data_pb2.HParamsPluginData) -> summary_pb2.Summary.Value:
    return summary_pb2.Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
