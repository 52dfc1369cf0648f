"""What docstrings say of arguments is what signatures say, and nothing public goes without a word."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted(path for package in ("kt_suite", "kt_suite_tensorboard") for path in (ROOT / package).rglob("*.py"))
_ENTRY = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \(.*?\))?:(?: |$)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def documented(docstring: str, section: str) -> list[str] | None:
    """Returns the names in one section of a Google docstring; ``None`` without that section."""
    lines = inspect.cleandoc(docstring).splitlines()
    if f"{section}:" not in lines:
        return None
    body = itertools.takewhile(lambda line: not line or line.startswith(" "), lines[lines.index(f"{section}:") + 1 :])
    text = re.sub(r",\n +", ", ", "\n".join(body))  # a list of names may go on in the next line
    found = (_ENTRY.match(line) for line in text.splitlines())
    return [name.strip(" *") for entry in found if entry for name in entry.group(1).split(",")]


def parameters(function: Function) -> tuple[list[str], bool]:
    """Returns the names of a signature without ``self``, and whether it takes any others (``**kwargs``)."""
    arguments = function.args
    names = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
    if arguments.vararg:
        names.insert(len(arguments.posonlyargs) + len(arguments.args), arguments.vararg.arg)
    return [name for name in names if name not in ("self", "cls")], arguments.kwarg is not None


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def fields(node: ast.ClassDef) -> list[str]:
    """Returns the public fields of a dataclass."""
    declared = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    names = [item.target.id for item in declared if "ClassVar" not in ast.unparse(item.annotation)]
    return [name for name in names if not name.startswith("_")]


def mismatch(node: ast.AST) -> str | None:
    """Returns how the docstring of a class or function contradicts its signature."""
    docstring = ast.get_docstring(node) if isinstance(node, ast.ClassDef | Function) else None
    if docstring is None:
        return None
    names = documented(docstring, "Args")
    is_open = False  # whether more may be documented than the signature names
    if isinstance(node, Function):
        expected, is_open = parameters(node)
    elif is_dataclass(node):
        names = names or documented(docstring, "Attributes") or []
        expected = [name for name in fields(node) if name in names]  # a name may say it all
    else:
        constructor = [item for item in node.body if isinstance(item, Function) and item.name == "__init__"]
        if not constructor:
            return None
        expected, is_open = parameters(constructor[0])
    if names is None or names == expected or (is_open and names[: len(expected)] == expected):
        return None
    return f"{names} != {expected}"


@pytest.mark.parametrize("path", PATHS, ids=[path.relative_to(ROOT).as_posix() for path in PATHS])
def test_documented_arguments_are_those_of_the_signature(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = {f"line {node.lineno}, {node.name}": why for node in ast.walk(tree) if (why := mismatch(node))}
    assert wrong == {}


def undocumented_methods(module: Any) -> Iterator[str]:
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if name.startswith("_") or cls.__module__ != module.__name__:
            continue
        for method, value in vars(cls).items():
            is_new = not any(hasattr(base, method) for base in cls.__mro__[1:])
            if not method.startswith("_") and callable(value) and is_new and not inspect.getdoc(getattr(cls, method)):
                yield f"{module.__name__}.{name}.{method}"


def test_public_methods_that_override_nothing_have_docstrings() -> None:
    skipped = {"__main__.py", "ray.py"}
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PATHS
        if path.name not in skipped
    ]
    assert [method for module in modules for method in undocumented_methods(importlib.import_module(module))] == []


def test_a_wrong_name_is_noticed() -> None:
    source = 'def f(a, b):\n    """Does.\n\n    Args:\n        a: One.\n        c: Other: no name.\n    """\n'
    assert mismatch(ast.parse(source).body[0]) == "['a', 'c'] != ['a', 'b']"
