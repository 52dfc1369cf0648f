from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import kt_suite.models


def test_importing_the_package_loads_no_tensorflow():
    code = "import sys, kt_suite.models; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_models_are_served_lazily():
    assert kt_suite.models.MLP.__module__ == "kt_suite.models.mlp"
    assert kt_suite.models.CNN.__module__ == "kt_suite.models.cnn"
    assert {"MLP", "CNN"} <= set(dir(kt_suite.models))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="RNN"):
        kt_suite.models.RNN  # noqa: B018


def test_imported_as_top_level_package_it_names_the_right_one():
    spec = importlib.util.spec_from_file_location("models", kt_suite.models.__file__)
    with pytest.raises(ImportError, match=r"kt_suite\.models"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
