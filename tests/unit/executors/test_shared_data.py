from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kt_suite.errors import InputError
from kt_suite.executors.shared_data import DataStore, FileStore, TravellingStore, pack, unpack

LARGE = np.arange(40_000, dtype="float32").reshape(200, 200)


@pytest.fixture(params=["files", "travelling"])
def store(request: Any, tmp_path: Path) -> DataStore:
    return FileStore(tmp_path) if request.param == "files" else TravellingStore()


def test_arrays_come_out_as_they_went_in_wherever_they_stand(store: DataStore) -> None:
    data = (LARGE, {"small": LARGE[0], "nested": [LARGE, "text", None]})
    out = unpack(pack(data, store))
    np.testing.assert_array_equal(out[0], LARGE)
    np.testing.assert_array_equal(out[1]["small"], LARGE[0])
    np.testing.assert_array_equal(out[1]["nested"][0], LARGE)
    assert out[1]["nested"][1:] == ["text", None]


def test_data_sets_come_out_as_they_went_in(store: DataStore) -> None:
    dataset = tf.data.Dataset.from_tensor_slices((LARGE, LARGE[:, 0])).batch(64)
    out = unpack(pack({"x": dataset}, store))["x"]
    assert out.element_spec == dataset.element_spec
    for mine, theirs in zip(out, dataset, strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])


def test_a_data_set_without_end_is_refused(store: DataStore) -> None:
    with pytest.raises(InputError, match="must have an end"):
        pack(tf.data.Dataset.range(3).repeat(), store)


def test_large_arrays_are_mapped_from_files_and_small_ones_travel(tmp_path: Path) -> None:
    packed = pack([LARGE, LARGE[0]], FileStore(tmp_path))
    assert isinstance(unpack(packed[0]), np.memmap)
    assert isinstance(packed[1], np.ndarray)
    assert len(list(tmp_path.iterdir())) == 1
