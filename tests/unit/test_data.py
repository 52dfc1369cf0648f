"""Data sets: what is loaded, how it is split, and what each unusable one says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kt_suite.data import DataSet, load_data
from kt_suite.errors import InputError


def write_npz(path: Path, **arrays: object) -> str:
    np.savez(path, **arrays)
    return str(path)


def write_csv(path: Path, header: str, rows: list[str]) -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def blobs(num_rows: int = 30) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(num_rows) % 3
    return np.random.default_rng(0).normal(size=(num_rows, 2)) + y[:, None], y


def parts(data: DataSet) -> list[np.ndarray]:
    return [data.x_train, data.x_val, data.x_test]


@pytest.mark.parametrize(
    ("name", "task", "shape", "num_classes"),
    [
        ("digits", "multiclass", (8, 8, 1), 10),
        ("iris", "multiclass", (4,), 3),
        ("wine", "multiclass", (13,), 3),
        ("breast_cancer", "binary", (30,), 2),
        ("diabetes", "regression", (10,), 0),
    ],
)
def test_built_in_sets_have_their_task_and_shape(name, task, shape, num_classes):
    data = load_data(name)
    assert data.task == task
    assert [x.shape[1:] for x in parts(data)] == [shape] * 3
    assert {x.dtype for x in parts(data)} == {np.dtype("float32")}
    assert len(data.class_names) == num_classes
    assert data.y_train.dtype == (np.float32 if task == "regression" else np.int64)


def test_layout_rows_flattens_and_images_refuse_rows():
    assert load_data("digits", layout="rows").x_test.shape == (270, 64)
    with pytest.raises(InputError, match=r"iris.*\(n, height, width\[, channels\]\).*\(106, 4\)"):
        load_data("iris", layout="images")


def test_layout_images_adds_the_channel(tmp_path):
    path = write_npz(tmp_path / "a.npz", x=np.zeros((20, 5, 6)), y=np.arange(20) % 2)
    assert load_data(path, layout="images").x_train.shape[1:] == (5, 6, 1)
    assert load_data(path).x_train.shape[1:] == (5, 6)


def test_splits_are_disjoint_complete_stratified_and_follow_the_seed(tmp_path):
    y = np.repeat([0, 1], [80, 20])
    path = write_npz(tmp_path / "a.npz", x=np.arange(100), y=y)
    data = load_data(path, seed=3)
    assert sorted(np.concatenate(parts(data))[:, 0]) == list(range(100))
    assert [len(x) for x in parts(data)] == [70, 15, 15]
    assert [y.mean() for y in (data.y_train, data.y_val, data.y_test)] == [0.2, 0.2, 0.2]
    again, other = load_data(path, seed=3), load_data(path, seed=4)
    assert np.array_equal(data.x_train, again.x_train)
    assert not np.array_equal(data.x_train, other.x_train)


def test_seven_rows_of_a_class_suffice_whatever_the_rest(tmp_path):
    for num_others in range(7, 40):
        y = np.repeat([0, 1], [7, num_others])
        data = load_data(write_npz(tmp_path / "a.npz", x=np.arange(len(y)), y=y), seed=num_others)
        assert all(set(y) == {0, 1} for y in (data.y_train, data.y_val, data.y_test))


def test_parts_of_an_npz_are_kept_as_given(tmp_path):
    x, y = blobs()
    path = write_npz(tmp_path / "a.npz", x=x, y=y, x_val=x[:4], y_val=y[:4], x_test=x[:6], y_test=y[:6])
    data = load_data(path)
    assert [len(part) for part in parts(data)] == [30, 4, 6]
    assert np.array_equal(data.y_test, y[:6])
    only_test = load_data(write_npz(tmp_path / "b.npz", x=x, y=y, x_test=x[:6], y_test=y[:6]))
    assert [len(part) for part in parts(only_test)] == [26, 4, 6]


@pytest.mark.parametrize(
    ("y", "task", "class_names"),
    [
        (np.arange(30) % 3 - 1, "multiclass", ("-1", "0", "1")),
        (np.arange(30) % 2 == 0, "binary", ("False", "True")),
        (np.array(["no", "yes"] * 15), "binary", ("no", "yes")),
        (np.array([0.0, 1.0] * 15), "binary", ("0", "1")),
        (np.eye(3)[np.arange(30) % 3], "multiclass", ("0", "1", "2")),
        (np.array([[1, 1], [0, 0], [0, 1]] * 10), "multilabel", ("0", "1")),
        (np.linspace(0, 1, 30), "regression", ()),
        (np.linspace(0, 1, 60).reshape(30, 2), "regression", ()),
    ],
)
def test_targets_of_an_npz_decide_the_task(tmp_path, y, task, class_names):
    data = load_data(write_npz(tmp_path / "a.npz", x=np.zeros((30, 2)), y=y))
    assert (data.task, data.class_names) == (task, class_names)
    if task == "multiclass":
        assert set(data.y_train) == {0, 1, 2}


def test_task_overrules_the_targets(tmp_path):
    path = write_npz(tmp_path / "a.npz", x=np.zeros((30, 2)), y=np.arange(30) % 3)
    data = load_data(path, task="regression")
    assert data.task == "regression"
    assert data.y_train.dtype == np.float32
    with pytest.raises(InputError, match=r"task must be one of classification, regression.*Did you mean regression\?"):
        load_data(path, task="regresion")


def test_csv_columns_become_numbers_and_one_hot_categories(tmp_path):
    rows = [f"{i}, {'red' if i % 2 else 'blue'} ,{i % 2}" for i in range(20)]
    data = load_data(write_csv(tmp_path / "a.csv", "size,colour,kind", rows), target="kind")
    assert data.feature_names == ("size", "colour=blue", "colour=red")
    assert (data.task, data.class_names) == ("binary", ("0", "1"))
    assert np.array_equal(data.x_train[:, 2], data.y_train)


def test_a_category_unseen_in_training_is_all_zeros(tmp_path):
    rows = [f"{'rare' if i == 0 else 'common'},{i}.5" for i in range(30)]
    path = write_csv(tmp_path / "a.csv", "colour,y", rows)
    found = [load_data(path, target="y", seed=seed) for seed in range(20)]
    unseen = [data for data in found if data.feature_names == ("colour=common",)]
    assert unseen
    assert all(sum(float((1 - x).sum()) for x in parts(data)) == 1 for data in unseen)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        ([str(i % 20) for i in range(200)], "multiclass"),
        ([str(i % 21) for i in range(200)], "regression"),
        ([f"{i % 3}.5" for i in range(200)], "regression"),
        ([f"kind {i % 3}" for i in range(200)], "multiclass"),
    ],
)
def test_targets_of_a_csv_decide_the_task(tmp_path, targets, task):
    path = write_csv(tmp_path / "a.csv", "a,y", [f"{i},{y}" for i, y in enumerate(targets)])
    assert load_data(path, target="y").task == task


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_separator_and_byte_order_mark_are_understood(tmp_path, separator):
    text = "\n".join(separator.join(cells) for cells in [("a", "b", "y"), *[("1", "2", "x"), ("3", "4", "z")] * 9])
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    assert load_data(str(tmp_path / "a.csv"), target="y").feature_names == ("a", "b")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digitz", r"Data set must be .* one of breast_cancer, .* but got 'digitz'\. Did you mean digits\?"),
        ("nowhere.npz", r"Data must be a file that exists, but got 'nowhere\.npz'\."),
        ("nowhere.csv", r"Data must be a file that exists"),
    ],
)
def test_unknown_data_are_named_with_the_near_ones(source, message):
    with pytest.raises(InputError, match=message):
        load_data(source)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.parquet").write_text("")
    with pytest.raises(InputError, match=r"end in \.npz or \.csv"):
        load_data(str(tmp_path / "a.parquet"))


def test_a_missing_file_names_the_near_ones(tmp_path):
    write_csv(tmp_path / "houses.csv", "a,y", ["1,2"])
    with pytest.raises(InputError, match=r"Did you mean houses\.csv\?"):
        load_data(str(tmp_path / "house.csv"), target="y")


X, Y = blobs()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"a\.npz must hold an array 'y', but got 'x'"),
        ({"data": X, "target": Y}, r"hold an array 'x', but got 'data, target'"),
        ({"x": X, "y": Y, "x_val": X}, "hold an array 'y_val'"),
        ({"x": X, "y": Y[:-1]}, r"y must have as many rows as x \(30\), but got 29"),
        ({"x": X, "y": np.float64(1)}, r"y must have as many rows as x \(30\)"),
        ({"x": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, r"row of x_test .* \(2,\), but got \(1,\)"),
        (
            {"x": X, "y": Y, "x_test": X, "y_test": Y + 1},
            "classes in y must be among .* 0, 1, 2, but got '3'",
        ),
        ({"x": X, "y": np.zeros(30, int)}, "at least two classes"),
        ({"x": X, "y": np.minimum(np.arange(30), 2)}, "Each class must have at least 7 rows .* '0: 1, 1: 1'"),
        ({"x": X[:3], "y": np.array([0.5, 1, 2])}, "have at least 7 rows to be split, but got 3"),
        ({"x": X.astype(str), "y": Y}, "x must hold numbers"),
        ({"x": X[:0], "y": Y[:0]}, "x must have at least one row"),
        ({"x": X, "y": Y + 1j}, "y must hold numbers or text"),
    ],
)
def test_unusable_arrays_are_named(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        load_data(write_npz(tmp_path / "a.npz", **arrays))


def test_nan_names_the_columns_and_the_way_on(tmp_path):
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(InputError, match=r"x must hold finite numbers.*columns 1 \(1 missing\)\. Fill them in"):
        load_data(write_npz(tmp_path / "a.npz", x=x, y=Y))
    with pytest.raises(InputError, match=r"y \(1 missing\)"):
        load_data(write_npz(tmp_path / "a.npz", x=X, y=x[:, 1]))
    with pytest.raises(InputError, match=r"rows 3 \(1 missing\)"):
        load_data(write_npz(tmp_path / "a.npz", x=x[:, :, None], y=Y))
    rows = ["1,red,5", ",red,5", "NA,,6", "2,blue,?"]
    with pytest.raises(InputError, match=r"a\.csv .* age \(2 missing\), colour \(1 missing\), y \(1 missing\)\."):
        load_data(write_csv(tmp_path / "a.csv", "age,colour,y", rows), target="y")


def test_objects_in_an_npz_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = write_npz(tmp_path / "a.npz", x=np.array([Bomb()] * 30), y=Y)
    with pytest.raises(InputError, match=r"Array 'x' of a\.npz must hold numbers or text, but got 'pickled objects'"):
        load_data(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"plain text"])
def test_a_torn_npz_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz' must be a readable \.npz|a\.npz must be a readable \.npz"):
        load_data(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("header", "rows", "target", "message"),
    [
        (
            "a,price",
            ["1,2"],
            None,
            "target must name the column of a.csv to predict, but got None. Columns: a, price",
        ),
        ("a,price", ["1,2"], "Prise", r"Did you mean price\?"),
        ("price", ["1"], "price", "have a column beside the target"),
        (",a,y", ["1,2,3"], "y", "Column 1 of a.csv must have a name.* index=False"),
        ("a,a,y", ["1,2,3"], "y", r"different names, but got \['a'\]"),
        ("1.5,2", ["1,2"], "2", "start with a header"),
        ("", [], "y", "start with a header|have a name"),
        ("a,y", [], "y", "have rows below the header"),
        ("a,y", ["1,2", "1,2,3"], "y", r"Line 3 of a\.csv must have 2 cells like the header, but got 3"),
        ("a,y", ['"1,2'], "y", "comma-separated values"),
        (
            "a,y",
            [f"name {i},{i}" for i in range(101)],
            "y",
            "Column 'a' .* 100 different values, but got 'name 0'",
        ),
        ("a,y", [*(f"{i},{i}" for i in range(101)), "1o,1"], "y", "but got '1o'. It has 102"),
    ],
)
def test_unusable_text_is_named(tmp_path, header, rows, target, message):
    with pytest.raises(InputError, match=message):
        load_data(write_csv(tmp_path / "a.csv", header, rows), target=target)


def test_text_in_another_encoding_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        load_data(str(tmp_path / "a.csv"), target="y")


def test_target_belongs_to_csv_and_shares_must_leave_rows(tmp_path):
    with pytest.raises(InputError, match=r"target must be given for \.csv data only"):
        load_data("iris", target="species")
    with pytest.raises(InputError, match="shares"):
        load_data("iris", validation_share=0.6, test_share=0.4)


def test_regression_of_text_is_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", "a,y", [f"{i},kind {i % 2}" for i in range(20)])
    with pytest.raises(InputError, match="target 'y' must hold numbers for regression"):
        load_data(path, target="y", task="regression")
