"""Files and functions stay small enough to be read at one go."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATHS = [path for package in ("kt_suite", "kt_suite_tensorboard") for path in (ROOT / package).rglob("*.py")]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def num_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns the lines of a function's body without its docstring: a long list of arguments reads easily."""
    first = function.body[0]
    start = first.end_lineno + 1 if ast.get_docstring(function) is not None else first.lineno
    return function.end_lineno - start + 1


def test_files_stay_short() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in PATHS}
    assert {path: length for path, length in lengths.items() if length > MAX_FILE_LINES} == {}


def test_functions_stay_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": num_lines(node)
        for path in PATHS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and num_lines(node) > MAX_FUNCTION_LINES
    }
    assert long == {}
