"""Hashable descriptions of what members of a program must agree on."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

_NEVER = frozenset({"name", "trainable", "dtype", "seed", "build_config", "compile_config", "optional"})
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def frozen(value: Any) -> Any:
    """Returns a hashable equivalent of plain data, functions and arrays."""
    if isinstance(value, dict):
        return tuple((key, frozen(value[key])) for key in sorted(value, key=str))
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if callable(value) and hasattr(value, "__code__"):
        return function_key(value)
    try:
        hash(value)
    except TypeError:
        if hasattr(value, "__array__") and (array := np.asarray(value)).dtype != object:
            return array.dtype.str, array.shape, array.tobytes()
        return json.dumps(value, default=repr)
    return value


def function_key(function: Any) -> Any:
    """Returns what tells functions apart: code, defaults, what they close over, numbers they name, and their object."""
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__.get(name) for name in code.co_names]
    own = getattr(function, "__self__", None)
    return (
        code,
        frozen(function.__defaults__),
        frozen(function.__kwdefaults__),
        tuple(frozen(value) for value in held if value is not function),
        tuple(value for value in named if isinstance(value, int | float)),
        None if own is None else (id(own), attributes_key(own)),
    )


def attributes_key(thing: Any) -> Any:
    """Returns what an object keeps in its own attributes, which its configuration may leave out."""
    names = [name for name in getattr(thing, "__dict__", {}) if not name.startswith("_") and name != "name"]
    # Keras wraps methods of each layer anew.
    own = {name: vars(thing)[name] for name in names if not callable(getattr(type(thing), name, None))}
    # A method is told by its function: its object may be this one.
    own = {name: getattr(value, "__func__", value) for name, value in own.items()}
    return frozen({name: value for name, value in own.items() if _is_plain(value)})


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    if isinstance(value, keras.Variable):
        return False
    return (
        isinstance(value, bool | int | float | str | None) or hasattr(value, "__code__") or hasattr(value, "__array__")
    )


def config_key(layer: Any, lifted: Collection[str] = ()) -> Any:
    """Returns the configuration of a layer without what may differ: names, initial values, penalties, ``lifted``."""
    try:
        config = layer.get_config()
    except (NotImplementedError, AttributeError):
        return layer
    kept = {}
    for name, value in config.items():
        if name in _NEVER or name in lifted or name.endswith("_initializer"):
            continue
        if name.endswith("_regularizer"):
            value = None if is_penalty(getattr(layer, name, None)) else value
        kept[name] = value
    return frozen(kept)


def is_penalty(regularizer: Any) -> bool:
    """Whether a regularizer is a sum of absolute values, of squares, or both; none counts too."""
    return regularizer is None or type(regularizer) in _PENALTIES


def is_constraint(constraint: Any) -> bool:
    """Whether a constraint is one of Keras' own; none counts too."""
    known = keras.constraints
    return constraint is None or type(constraint) in (known.MaxNorm, known.MinMaxNorm, known.NonNeg, known.UnitNorm)


def penalty(regularizer: Any) -> tuple[float, float]:
    """Returns the strengths of the sums of absolute values and of squares."""
    if regularizer is None:
        return 0.0, 0.0
    return as_cast(getattr(regularizer, "l1", 0.0) or 0.0), as_cast(getattr(regularizer, "l2", 0.0) or 0.0)


def as_cast(number: float) -> float:
    """Returns a number as ``ops.cast`` takes it: TensorFlow makes a float32 of it first."""
    return float(np.float32(number)) if keras.backend.backend() == "tensorflow" else float(number)


def object_key(thing: Any, lifted: Collection[str] = ()) -> Any:
    """Returns a key of a loss, a metric or a constraint: its class and configuration, or its function."""
    if thing is None or isinstance(thing, str | int | float):
        return thing
    function = getattr(thing, "_fn", None) or getattr(thing, "fn", None)
    if not hasattr(thing, "get_config"):
        return function_key(thing)
    own = function_key(function) if function is not None else None
    kwargs = {name: value for name, value in getattr(thing, "_fn_kwargs", {}).items() if name not in lifted}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a lambda is told by its code
            config = {name: value for name, value in thing.get_config().items() if name not in {*lifted, "name", "fn"}}
    except NotImplementedError:
        return thing
    attributes = None if type(thing).__module__.startswith("keras.") else attributes_key(thing)
    return (type(thing), own, frozen(kwargs), frozen(config), attributes)
