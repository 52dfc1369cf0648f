"""The base class of hypermodels: KerasTuner's, with training options and data made declarative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from kt_suite.errors import InputError, rule


class HyperModel(keras_tuner.HyperModel):  # type: ignore[misc]
    """A space of models, and how one of them is built and trained.

    Subclasses write :meth:`build`; everything else has a working default.

    Args:
        name: Name shown in logs.
        tunable: Whether the hyperparameters met in :meth:`build` join the space.

    Example:
        >>> import keras, kt_suite as kts
        >>> class Net(kts.HyperModel):
        ...     def build(self, hp):
        ...         units = hp.Int("units", 8, 64, step=8)
        ...         model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dense(1)])
        ...         model.compile("adam", "mse")
        ...         return model
        ...
        ...     def fit_options(self, hp):
        ...         return {"batch_size": hp.Choice("batch_size", [16, 32, 64])}
    """

    @property
    def requires_data(self) -> bool:
        """Whether :meth:`bind` must be called before :meth:`build` can work."""
        return False

    def bind(self, x: Any, y: Any = None, validation_data: Any = None) -> None:
        """Learns what :meth:`build` must know of the data, such as shapes and classes, and checks the data.

        A tuner calls it once, at the start of ``search`` and before anything is built. It must not keep
        statistics of the values (see :meth:`adapt`): with cross-validation they would leak from one fold to another.

        Args:
            x: Training inputs as given to ``search``: arrays of shape ``(n, ...)``, a dict of them, or a
                ``tf.data.Dataset``.
            y: Targets of shape ``(n, ...)``; ``None`` where ``x`` yields both.
            validation_data: As given to ``search``.

        Raises:
            kt_suite.errors.InputError: The data cannot be used.
        """

    def fit_options(self, hp: Any) -> dict[str, Any]:
        """Returns the arguments of ``model.fit`` that are tuned, such as ``batch_size``, ``epochs`` or
        ``class_weight``.

        An argument returned here must not be given to ``search`` as well. A schedule of budgets (Hyperband) decides
        ``epochs`` in place of this method.
        """
        return {}

    def adapt(self, model: Any, x: Any, y: Any = None) -> None:
        """Fits the preprocessing layers of ``model`` on the training data of one run, just before it is trained.

        Args:
            model: What :meth:`build` returned.
            x: Inputs, without those that ``validation_split`` sets apart; or a data set of inputs and targets.
            y: Targets; ``None`` where ``x`` yields both.
        """

    def callbacks(self, hp: Any) -> list[Any]:
        """Returns callbacks that belong to the training recipe; they run before those given to ``search``."""
        return []

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains ``model``; returns a History, a float, a dict of metrics, or a list of these (one for each run).

        Calls :meth:`adapt`, and adds :meth:`fit_options` and :meth:`callbacks`. Arguments given explicitly win over
        options, so that the method also serves a plain ``keras_tuner.Tuner``, which knows nothing of options.
        """
        return model.fit(*args, **self._prepare_fit(hp, model, *args, **kwargs))

    def _prepare_fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Adapts the model, and returns the keyword arguments of ``model.fit``."""
        options = {**self.fit_options(hp), **kwargs}
        x = args[0] if args else options.get("x")
        y = args[1] if len(args) > 1 else options.get("y")
        if _comes_in_batches(x):
            options.pop("batch_size", None)
        elif share := options.get("validation_split"):
            x, y = _first_rows(x, 1 - share), _first_rows(y, 1 - share)  # Keras validates on the last rows
        if x is not None:
            self.adapt(model, x, y)
        given = options.get("callbacks") or []
        given = given if isinstance(given, (list, tuple)) else [given]
        # What adds metrics comes first, so that a callback of the recipe can monitor them.
        order = [*self.callbacks(hp), *given]
        options["callbacks"] = sorted(order, key=lambda callback: not getattr(callback, "adds_metrics", False))
        return options


def _comes_in_batches(x: Any) -> bool:
    return hasattr(x, "element_spec") or isinstance(x, keras.utils.PyDataset)


def _first_rows(data: Any, share: float) -> Any:
    if isinstance(data, Mapping):
        return {name: _first_rows(item, share) for name, item in data.items()}
    if isinstance(data, (list, tuple)) and data and hasattr(data[0], "shape"):
        return type(data)(_first_rows(item, share) for item in data)
    return None if data is None else data[: int(len(data) * share)]


class FunctionHyperModel(HyperModel):
    """A hypermodel made of a build function.

    Args:
        build: From a ``HyperParameters`` to a compiled model.
    """

    def __init__(self, build: Any) -> None:
        super().__init__(name=getattr(build, "__name__", None))
        self.build = build


def as_hypermodel(hypermodel: Any) -> Any:
    """Returns ``hypermodel`` itself, or one made of a build function; ``None`` stays ``None``.

    Raises:
        InputError: It is neither.
    """
    if hypermodel is None or isinstance(hypermodel, keras_tuner.HyperModel):
        return hypermodel
    if isinstance(hypermodel, type) or not callable(hypermodel):
        remedy = "Call the class to make one." if isinstance(hypermodel, type) else ""
        raise InputError(rule("hypermodel", "be a HyperModel or a function build(hp)", hypermodel, remedy))
    return FunctionHyperModel(hypermodel)


def prepare_fit(hypermodel: Any, hp: Any, model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Does what ``hypermodel.fit`` does before training; returns the keyword arguments that it gives to ``model.fit``.

    Only for a hypermodel that does not override ``fit``.
    """
    if isinstance(hypermodel, HyperModel):
        return hypermodel._prepare_fit(hp, model, *args, **kwargs)
    return kwargs


def is_estimator(model: Any) -> bool:
    """Whether ``model`` is an estimator of scikit-learn, or behaves as one."""
    return not isinstance(model, keras.Model) and all(hasattr(model, name) for name in ("fit", "predict", "get_params"))


def overrides_fit(hypermodel: Any) -> bool:
    """Whether a hypermodel trains in a way of its own."""
    return hypermodel is not None and type(hypermodel).fit not in (HyperModel.fit, keras_tuner.HyperModel.fit)


def fit_options(hypermodel: Any, hp: Any) -> dict[str, Any]:
    """Returns the tuned arguments of ``fit``; none for hypermodels of KerasTuner."""
    return hypermodel.fit_options(hp) if isinstance(hypermodel, HyperModel) else {}
