from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

from kt_suite.errors import InputError
from kt_suite.models.data_facts import batches, read_data


class Batches(keras.utils.PyDataset):
    def __init__(self, *elements):
        super().__init__()
        self.elements = elements

    def __len__(self):
        return len(self.elements)

    def __getitem__(self, index):
        return self.elements[index]


def test_arrays_give_shape_and_labels():
    facts = read_data(np.zeros((5, 2, 3)), np.arange(5)[:, None])
    assert (facts.input_shape, facts.labels.tolist(), facts.is_batched) == ((2, 3), [0, 1, 2, 3, 4], False)


def test_frames_of_several_kinds_are_read():
    x = pd.DataFrame({"a": [1.0, 2.0], "b": pd.array([1, 2], dtype="Int64"), "c": [True, False]})
    assert read_data(x, pd.Series([1, 0])).input_shape == (3,)


@pytest.mark.parametrize("kind", ["dataset", "py_dataset"])
def test_data_sets_are_read_over_all_batches(kind):
    x, y = np.zeros((5, 2)), np.arange(5)
    data = (
        tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
        if kind == "dataset"
        else Batches((x[:3], y[:3]), (x[3:], y[3:]))
    )
    facts = read_data(data, None)
    assert (facts.input_shape, facts.labels.tolist(), facts.is_batched) == ((2,), [0, 1, 2, 3, 4], True)


def test_chunks_of_an_array_cover_it_once(monkeypatch):
    monkeypatch.setattr("kt_suite.models.data_facts._CHUNK_BYTES", 40)
    chunks = [chunk for chunk, _ in batches(np.arange(14.0).reshape(7, 2))]
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]
    assert np.concatenate(chunks)[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]


def test_not_a_number_names_the_columns_and_the_remedy():
    x = pd.DataFrame({"age": [1.0, np.nan], "bmi": [1.0, 2.0], "bp": [np.inf, 2.0]})
    with pytest.raises(
        InputError, match=r"x must be finite, but got 'NaN in 2 rows from row 0 on, columns age, bp'.*fillna"
    ):
        read_data(x, np.zeros(2))


def test_not_a_number_in_an_array_names_column_numbers():
    x = np.zeros((3, 30))
    x[1, 4:] = np.inf
    with pytest.raises(InputError, match=r"infinity in 1 rows from row 1 on, columns 4, 5, .*13 and 16 more"):
        read_data(x, np.zeros(3))


def test_value_too_large_for_float32_is_refused():
    with pytest.raises(InputError, match="infinity"):
        read_data(np.full((2, 1), 1e300), np.zeros(2))


def test_not_a_number_in_later_batches_is_found():
    x = np.zeros((6, 2))
    x[4, 1] = np.nan
    with pytest.raises(InputError, match="row 4 on, columns 1"):
        read_data(tf.data.Dataset.from_tensor_slices((x, np.zeros(6))).batch(2), None)


X, Y = np.zeros((4, 2)), np.zeros(4)
BAD = {
    "NaN": (X, np.array([0, np.nan, 0, 0]), "y must be finite.*Drop these rows"),
    "lengths": (X, np.zeros(3), "as many rows as x, 4, but got 3"),
    "no targets": (X, None, "y must be given"),
    "rank of x": (np.zeros(4), Y, r"reshape\(-1, 1\)"),
    "rank of y": (X, np.zeros((4, 2, 2)), r"y must have shape"),
    "empty": (np.zeros((0, 2)), np.zeros(0), "at least one row"),
    "dict": ({"b": X, "a": X}, Y, r"a dict with keys \['a', 'b'\]"),
    "list": (X.tolist(), Y, "numpy.asarray"),
    "text": (np.full((4, 2), "a"), Y, "get_dummies"),
    "text in columns": (
        pd.DataFrame({"a": [1, 2], "city": ["x", "y"]}),
        np.zeros(2),
        "columns city.*get_dummies",
    ),
    "names of classes": (X, np.array(["a", "b", "a", "b"]), "return_inverse"),
    "names of classes in a series": (
        X,
        pd.Series(["a", "b", "a", "b"], name="kind"),
        "columns kind.*return_inverse",
    ),
    "sparse": (scipy.sparse.eye(4), Y, "toarray"),
    "generator": ((row for row in X), Y, "data set, but got 'generator'"),
    "targets twice": (tf.data.Dataset.from_tensor_slices((X, Y)).batch(2), Y, "left out"),
    "no targets in a data set": (tf.data.Dataset.from_tensor_slices(X).batch(2), None, "yield"),
    "no batches": (tf.data.Dataset.from_tensor_slices((X, Y)), None, r"\.batch\("),
    "infinite": (tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).repeat(), None, "Leave out repeat"),
    "empty data set": (tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).take(0), None, "empty"),
    "several inputs": (tf.data.Dataset.from_tensor_slices(((X, X), Y)).batch(2), None, "Concatenate"),
    "shapes that differ": (Batches((X, Y), (np.zeros((4, 3)), Y)), None, r"one shape \(2,\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_with_the_way_out(case):
    x, y, message = BAD[case]
    with pytest.raises(InputError, match=message):
        read_data(x, y)
