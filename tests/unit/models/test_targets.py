from __future__ import annotations

import numpy as np
import pytest

from kt_suite.errors import InputError
from kt_suite.models.targets import Target, infer_target, known_target

ONE_HOT = np.eye(3)[[0, 1, 2, 0]]


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        (np.array([0, 1, 1]), Target("binary", 1)),
        (np.array([0.0, 1.0]), Target("binary", 1)),
        (np.array([True, False]), Target("binary", 1)),
        (np.array([2, 0, 1]), Target("multiclass", 3)),
        (np.array([2.0, 0.0, 1.0]), Target("regression", 1)),
        (ONE_HOT, Target("multiclass", 3, one_hot=True)),
        (np.array([[1, 1, 0], [0, 0, 0]]), Target("multilabel", 3)),
        (np.array([[1.5, 0.0], [0.0, 1.0]]), Target("regression", 2)),
    ],
)
def test_labels_decide_the_task(labels, target):
    assert infer_target(labels) == target


@pytest.mark.parametrize(
    ("labels", "options", "target"),
    [
        (np.array([0, 1]), {"num_outputs": 2}, Target("multiclass", 2)),
        (np.array([0, 1]), {"task": "multiclass"}, Target("multiclass", 2)),
        (np.array([0, 1]), {"task": "regression"}, Target("regression", 1)),
        (np.array([0.0, 2.0, 1.0]), {"task": "multiclass"}, Target("multiclass", 3)),
        (np.array([0, 3]), {"num_outputs": 5}, Target("multiclass", 5)),
        (np.array([25, 346]), {"task": "regression"}, Target("regression", 1)),
        (ONE_HOT, {"task": "multilabel"}, Target("multilabel", 3)),
        (ONE_HOT, {"task": "regression"}, Target("regression", 3)),
        (np.array([[0.3, 0.7], [0.5, 0.5]]), {"task": "multiclass"}, Target("multiclass", 2, one_hot=True)),
    ],
)
def test_arguments_decide_otherwise(labels, options, target):
    assert infer_target(labels, **options) == target


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (np.array([1, 2, 3]), {}, "every class from 0 to 3, .* 1 missing.*return_inverse.*num_outputs=4"),
        (np.array([-1, 1]), {}, "return_inverse"),
        (np.array([25, 346, 77]), {}, "task='regression'"),
        (np.array([0.5, 1.0]), {"task": "multiclass"}, "classes 0, 1"),
        (np.array([4, 4]), {}, "at least two classes"),
        (np.array([0, 5]), {"num_outputs": 3}, "below num_outputs, 3"),
        (np.array([-1, 1]), {"task": "binary"}, r"only 0 and 1 .*y == y.max\(\)"),
        (ONE_HOT, {"task": "binary"}, r"shape \(n,\)"),
        (np.array([0, 1]), {"task": "multilabel"}, r"shape \(n, k\)"),
        (np.array([[1, 2]]), {"task": "multilabel"}, "only 0 and 1"),
        (np.array([[1, 1]]), {"task": "multiclass"}, "task='multilabel'"),
        (ONE_HOT, {"num_outputs": 4}, "num_outputs must be 3"),
        (np.array([0.5, 1.5]), {"num_outputs": 2}, "num_outputs must be 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_the_way_out(labels, options, message):
    with pytest.raises(InputError, match=message):
        infer_target(labels, **options)


def test_known_target_needs_what_the_task_needs():
    assert known_target("binary", None, one_hot=False) == Target("binary", 1)
    assert known_target("multiclass", 3, one_hot=True) == Target("multiclass", 3, one_hot=True)
    assert known_target("multiclass", None, one_hot=False) is None
    assert known_target(None, 3, one_hot=False) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("clustering", 2, False),
        ("multiclass", 1, False),
        ("binary", 2, False),
        ("binary", 1, True),
        (None, 0, False),
        (None, 2.0, False),
    ],
)
def test_contradicting_arguments_are_refused(arguments):
    with pytest.raises(InputError):
        known_target(arguments[0], arguments[1], one_hot=arguments[2])
