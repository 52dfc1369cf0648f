"""Names of distributions, and the ``tf.distribute`` strategies that they stand for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from kt_suite.errors import InputError, near, rule

NAMES = (
    "auto",
    "mirrored",
    "multi_worker_mirrored",
    "parameter_server",
    "central_storage",
    "one_device:DEVICE",
    "tpu",
)
_MUST = f"be a tf.distribute.Strategy, or one of {', '.join(NAMES)}"
VIRTUAL_DEVICES = "KT_SUITE_VIRTUAL_DEVICES"
_made: dict[str, Any] = {}


def check_name(distribution: Any) -> None:
    """Raises ``InputError`` for a name that stands for no distribution; no device is looked for."""
    if not isinstance(distribution, str):
        return
    known = [name.partition(":")[0] for name in NAMES]
    kind, colon, device = distribution.partition(":")
    if kind not in known or bool(colon) != (kind == "one_device") or (colon and not device):
        remedy = near(kind, known) if kind != "one_device" else "Such as one_device:/gpu:0."
        raise InputError(rule("distribution", _MUST, distribution, remedy))


def make_strategy(distribution: Any) -> Any:
    """Returns the strategy that a name stands for; a strategy stays itself, and ``None`` stays ``None``.

    One name gives one strategy in a process: TensorFlow confuses the collectives of several.

    Args:
        distribution: A name, a ``tf.distribute.Strategy``, or ``None``.

    Raises:
        InputError: An unknown name, or one whose devices or cluster are not there.
    """
    check_name(distribution)
    if distribution is None:
        return None
    import tensorflow as tf

    number = os.environ.get(VIRTUAL_DEVICES)
    if number:
        make_virtual_devices(int(number) if number.isdigit() else number)  # type: ignore[arg-type] # refused there
    if isinstance(distribution, str):
        if distribution not in _made:
            kind, _, device = distribution.partition(":")
            _made[distribution] = _MAKERS[kind](*([device] if device else []))
        return _made[distribution]
    if not isinstance(distribution, tf.distribute.Strategy):
        raise InputError(rule("distribution", _MUST, distribution))
    return distribution


def make_virtual_devices(number: int) -> None:
    """Divides the CPU into ``number`` devices, to try distributions without GPUs.

    Raises:
        InputError: Not a positive number, or TensorFlow is at work already.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(rule("The number of virtual devices", "be a positive integer", number))
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) == number:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)
    except RuntimeError as error:
        remedy = f"Make the tuner, or call make_virtual_devices, first of all; or set {VIRTUAL_DEVICES}=1."
        raise InputError(rule("Virtual devices", "be made before TensorFlow is used", number, remedy)) from error


def _devices() -> list[str]:
    """Returns the GPUs, or the (virtual) CPUs where there are none."""
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [f"/{device.device_type.lower()}:{device.name.rpartition(':')[2]}" for device in found]


def _auto() -> Any:
    import tensorflow as tf

    return make_strategy("mirrored") if len(tf.config.list_physical_devices("GPU")) > 1 else None


def _mirrored() -> Any:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(_devices())


def _central_storage() -> Any:
    import tensorflow as tf

    return tf.distribute.experimental.CentralStorageStrategy(_devices(), "/cpu:0")


def _one_device(device: str) -> Any:
    import tensorflow as tf

    found = [name for kind in ("CPU", "GPU", "TPU") for name in _names_of(tf.config.list_logical_devices(kind))]
    wanted = device.lower().replace("device:", "").lstrip("/")
    if wanted not in found:
        raise InputError(rule("one_device", f"name one of the devices {[f'/{name}' for name in found]}", device))
    return tf.distribute.OneDeviceStrategy(f"/{wanted}")


def _names_of(devices: Any) -> list[str]:
    return [f"{device.device_type}:{device.name.rpartition(':')[2]}".lower() for device in devices]


def _tpu() -> Any:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
        return tf.distribute.TPUStrategy(resolver)
    except Exception as error:
        remedy = f"TensorFlow says: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
        raise InputError(rule('distribution="tpu"', "find a TPU", "none", remedy)) from error


def _multi_worker_mirrored() -> Any:
    import tensorflow as tf

    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "startup" not in str(error):
            raise
        remedy = "Make the tuner first of all, before data become tensors or models are built."
        must = "be made before TensorFlow is used"
        raise InputError(rule('distribution="multi_worker_mirrored"', must, "TensorFlow at work", remedy)) from error


def _parameter_server() -> Any:
    import tensorflow as tf

    from kt_suite.distribution.cluster import Cluster

    cluster = Cluster.of_environment()
    kinds = set() if cluster is None else set(cluster.addresses)
    if not kinds >= {"chief", "worker", "ps"}:
        must = "find a chief, a worker and a ps in TF_CONFIG"
        raise InputError(rule('distribution="parameter_server"', must, sorted(kinds)))
    return tf.distribute.ParameterServerStrategy(tf.distribute.cluster_resolver.TFConfigClusterResolver())


_MAKERS: dict[str, Callable[..., Any]] = {
    "auto": _auto,
    "mirrored": _mirrored,
    "multi_worker_mirrored": _multi_worker_mirrored,
    "parameter_server": _parameter_server,
    "central_storage": _central_storage,
    "one_device": _one_device,
    "tpu": _tpu,
}
