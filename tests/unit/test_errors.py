from __future__ import annotations

import keras_tuner
import pytest

import kt_suite as kts
from kt_suite import errors
from kt_suite.errors import KTSuiteError, MissingExtraError, near, rule


def test_a_message_says_what_must_be_but_is_not() -> None:
    assert rule("seed", "be an integer", "x") == "seed must be an integer, but got 'x'."
    assert rule("seed", "be an integer", None, "Give 0.") == "seed must be an integer, but got None. Give 0."


def test_a_missing_extra_names_the_command_that_installs_it() -> None:
    error = MissingExtraError("optuna", "optuna")
    assert "pip install 'kt-suite[optuna]'" in str(error)
    assert (error.package, error.extra) == ("optuna", "optuna")
    assert isinstance(error, ImportError)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_every_error_is_ours_or_keras_tuners(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, KTSuiteError) or kind is getattr(keras_tuner.errors, name)


def test_errors_about_arguments_are_value_errors() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.ObjectiveError, errors.InputError)
    assert issubclass(errors.ProjectError, errors.InputError)
    assert issubclass(errors.SearchFailedError, RuntimeError)


def test_keras_tuners_errors_are_the_same_objects() -> None:
    assert kts.errors.FailedTrialError is keras_tuner.errors.FailedTrialError
    assert kts.errors.FatalError is keras_tuner.errors.FatalError
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = errors.Nonsense


def test_near_names_are_offered() -> None:
    assert near("val_los", ["val_loss", "loss"]) == "Did you mean 'val_loss'?"
    assert near("xyz", ["val_loss"]) == ""
