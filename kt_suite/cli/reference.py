"""MODEL on the command line: a short name, ``package.module:Class`` or ``path/to/file.py:Class``."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kt_suite.data.messages import did_you_mean
from kt_suite.data.table import Layout
from kt_suite.errors import InputError, KTSuiteError, rule

READY = {"cnn": "kt_suite.models.cnn:CNN", "mlp": "kt_suite.models.mlp:MLP"}
_LAYOUTS: dict[str, Layout] = {READY["cnn"]: "images", READY["mlp"]: "rows"}
_FORMS = f"be one of {', '.join(READY)}, package.module:Class or path/to/file.py:Class"


@dataclass(frozen=True)
class ModelReference:
    """Where a model is found.

    Attributes:
        text: The reference in full; a file's path is absolute.
        label: A short name for it, fit for a directory.
    """

    text: str
    label: str

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """Reads a reference, without importing anything.

        Raises:
            InputError: It has none of the forms, or names a file that does not exist.
        """
        if text in READY:
            return cls(READY[text], text)
        source, _, name = text.rpartition(":")
        if not source:
            remedy = did_you_mean(text, READY)
            if text.endswith(".py") or "." in text:
                remedy = f"Name the class too, as in {text}:MyModel."
            raise InputError(rule("MODEL", _FORMS, text, remedy))
        if not name.isidentifier():
            raise InputError(rule("MODEL", _FORMS, text))
        if source.endswith(".py"):
            path = Path(source)
            if not path.is_file():
                near = did_you_mean(path.name, [item.name for item in path.parent.glob("*.py")])
                raise InputError(rule("The file of MODEL", "exist", source, near))
            return cls(f"{path.resolve()}:{name}", name)
        if not all(part.isidentifier() for part in source.split(".")):
            raise InputError(rule("MODEL", _FORMS, text))
        ready = next((label for label, full in READY.items() if full == text), name)
        return cls(text, ready)

    def load(self, fix: dict[str, Any], task: str, folder: str) -> Any:
        """Returns the hypermodel or build function; a class is called first.

        Args:
            fix: Given to a class as ``fixed``.
            task: Given to a class as ``task`` if it has such an argument.
            folder: Where modules are looked for first.

        Raises:
            InputError: It cannot be imported, is no model, or takes no ``fixed``.
        """
        import keras_tuner

        source, _, name = self.text.rpartition(":")
        module = _import_file(Path(source)) if source.endswith(".py") else _import_module(source, folder)
        found = getattr(module, name, None)
        if found is None:
            public = [item for item, value in vars(module).items() if callable(value) and not item.startswith("_")]
            raise InputError(rule("MODEL", f"name something in {source}", name, did_you_mean(name, public)))
        is_class = isinstance(found, type)
        if is_class and issubclass(found, keras_tuner.HyperModel):
            return _instance(found, fix, task)
        if fix:
            raise _not_fixable(name)
        if isinstance(found, keras_tuner.HyperModel) or (inspect.isroutine(found) and not is_class):
            return found
        kind = f"a class {name}" if is_class else f"an object of {type(found).__name__}"
        raise InputError(rule("MODEL", "be a HyperModel or a function build(hp)", kind))


def layout_of(model: Any) -> Layout | None:
    """Returns the shape of data that a model wants: that of the ready model it is or derives from."""
    names = (f"{cls.__module__}:{cls.__qualname__}" for cls in type(model).__mro__)
    return next((_LAYOUTS[name] for name in names if name in _LAYOUTS), None)


def _instance(cls: type, fix: dict[str, Any], task: str) -> Any:
    if fix and not _accepts(cls, "fixed"):
        raise _not_fixable(cls.__name__)
    given = {"fixed": fix or None, "task": task}
    arguments = {name: value for name, value in given.items() if value is not None and _accepts(cls, name)}
    try:
        return cls(**arguments)
    except KTSuiteError:
        raise
    except Exception as error:
        remedy = "Give each argument a default."
        raise InputError(
            rule(f"MODEL {cls.__name__}", "be made without arguments", _described(error), remedy)
        ) from error


def _accepts(cls: type, name: str) -> bool:
    """Returns whether a class takes an argument, itself or by passing on what it does not know."""
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters
            if name in parameters:
                return True
            if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values()):
                return False
    return False


def _not_fixable(name: str) -> InputError:
    must = "be given for a ready model, or a class with an argument fixed= like theirs"
    return InputError(rule("--fix", must, name, "Leave it out."))


def _import_file(path: Path) -> ModuleType:
    """Imports a file as a module of its own name, so that other processes can import the same."""
    if not re.fullmatch(r"[\w-]+", path.stem):
        raise InputError(rule("The file of MODEL", "have a name of letters, digits and _", path.name))
    module = _import_module(path.stem, str(path.parent))
    if Path(getattr(module, "__file__", None) or "").resolve() != path:
        remedy = f"Rename it: {path.stem} is the name of another module."
        raise InputError(rule("The file of MODEL", "have a name of its own", path.name, remedy))
    return module


def _import_module(name: str, folder: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except KTSuiteError:
        raise
    except Exception as error:
        raise InputError(rule(f"MODEL's module {name!r}", "be importable", _described(error))) from error


def _described(error: Exception) -> str:
    """Returns an error of a user's code in one line, with the place it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SyntaxError) or not frames or frames[-1].filename == __file__:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
