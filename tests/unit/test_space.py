from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kt_suite as kts
from kt_suite.errors import InputError
from kt_suite.hyperparameters import HyperParameters
from kt_suite.space import Space, grid_values

UNIT = st.floats(0.0, 1.0)
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def space_of(build: Any) -> Space:
    hp = HyperParameters()
    build(hp)
    return Space(hp)


# Random spaces: each hyperparameter is a tuple of a kind, its arguments and, if conditional, a parent and values of it.

CHOICES = st.lists(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.tuples(st.integers(0, 2), st.booleans())
    ),
    min_size=1,
    max_size=4,
)
INTS = st.tuples(st.integers(-20, 20), st.integers(0, 30), st.sampled_from([None, 1, 2, 3, 7]))
LOG_INTS = st.tuples(
    st.integers(1, 20), st.integers(0, 200), st.sampled_from(["log", "reverse_log"]), st.sampled_from([None, 2, 3])
)
FLOATS = st.tuples(st.floats(-2, 2), st.floats(0, 3), st.sampled_from([None, 0.1, 0.25, 0.3]))
LOG_FLOATS = st.tuples(st.floats(1e-6, 1e-2), st.floats(1, 1e4), st.sampled_from(["log", "reverse_log"]))
KINDS = st.one_of(
    st.tuples(st.just("choice"), CHOICES),
    st.tuples(st.just("boolean"), st.none()),
    st.tuples(st.just("int"), INTS),
    st.tuples(st.just("log_int"), LOG_INTS),
    st.tuples(st.just("float"), FLOATS),
    st.tuples(st.just("log_float"), LOG_FLOATS),
    st.tuples(st.just("fixed"), st.sampled_from([0, 1.5, "x", True])),
)


def declare(hp: HyperParameters, name: str, kind: str, of: Any) -> Any:
    if kind == "choice":
        return hp.Choice(name, of)
    if kind == "boolean":
        return hp.Boolean(name)
    if kind == "int":
        return hp.Int(name, of[0], of[0] + of[1], step=of[2])
    if kind == "log_int":
        return hp.Int(name, of[0], of[0] + of[1], sampling=of[2], step=of[3])
    if kind == "float":
        return hp.Float(name, of[0], of[0] + of[1], step=of[2])
    if kind == "log_float":
        return hp.Float(name, of[0], of[0] * of[1], sampling=of[2])
    return hp.Fixed(name, of)


class Shown(HyperParameters):
    def __repr__(self) -> str:
        return "\n".join(f"{one!r} if {one.conditions and one.conditions[0].get_config()}" for one in self.space)


@st.composite
def spaces(draw: Any, max_size: int = 5) -> HyperParameters:
    hp = Shown()
    for index in range(draw(st.integers(1, max_size))):
        kind, of = draw(KINDS)
        parents = [one for one in hp.space if not hasattr(one, "min_value")]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            levels = list(parent.values)
            chosen = draw(st.lists(st.sampled_from(levels), min_size=1, max_size=len(levels)))
            with hp.conditional_scope(parent.name, chosen):
                declare(hp, f"h{index}", kind, of)
        else:
            declare(hp, f"h{index}", kind, of)
    return hp


def is_legal(hp: HyperParameters, values: dict[str, Any]) -> bool:
    """Whether values are a point of the space, by the book."""
    expected = set()
    for one in hp.space:
        opens = [
            any(values.get(c.name, ...) is v or values.get(c.name, ...) == v for v in c.values) for c in one.conditions
        ]
        if not all(c.name in expected and is_open for c, is_open in zip(one.conditions, opens, strict=True)):
            continue
        expected.add(one.name)
        value = values.get(one.name, ...)
        if hasattr(one, "min_value"):
            if not one.min_value <= value <= one.max_value:
                return False
            if type(one).__name__ == "Int" and type(value) is not int:
                return False
        elif not any(value == level and type(value) is type(level) for level in one.values):
            return False
    return set(values) == expected


@QUICK
@given(spaces(), st.integers(0, 2**31))
def test_every_sample_is_a_point_of_the_space(hp: HyperParameters, seed: int) -> None:
    space = Space(hp)
    values = space.sample(np.random.default_rng(seed))
    assert is_legal(hp, values), values
    assert space.check(values) == values


@QUICK
@given(spaces(), st.integers(0, 2**31))
def test_values_survive_the_way_to_the_unit_cube_and_back(hp: HyperParameters, seed: int) -> None:
    space = Space(hp)
    values = space.sample(np.random.default_rng(seed))
    unit = space.to_unit(values)
    assert np.all(np.isnan(unit) | ((unit >= 0) & (unit <= 1)))
    back = space.from_unit(unit)
    assert set(back) == set(values)
    for name, value in values.items():
        is_float = isinstance(value, float)
        assert math.isclose(back[name], value, rel_tol=1e-9, abs_tol=1e-12) if is_float else back[name] == value


@QUICK
@given(spaces(), st.integers(0, 2**31))
def test_axes_are_active_where_their_values_are_present(hp: HyperParameters, seed: int) -> None:
    space = Space(hp)
    units = np.random.default_rng(seed).random((3, len(space)))
    present = [~np.isnan(space.to_unit(space.from_unit(unit))) for unit in units]
    assert space.activity(units).tolist() == np.reshape(present, units.shape).tolist()


@QUICK
@given(spaces(max_size=4))
def test_a_finite_space_is_counted_and_listed_exactly(hp: HyperParameters) -> None:
    space = Space(hp)
    size = space.size()
    if size is None or size > 2000:
        return
    points = list(space.points())
    assert len(points) == size
    assert len({space.key(values) for values in points}) == size
    assert all(is_legal(hp, values) for values in points)


@QUICK
@given(spaces(max_size=4), st.integers(0, 2**31))
def test_samples_of_a_finite_space_are_among_the_listed_points(hp: HyperParameters, seed: int) -> None:
    space = Space(hp)
    size = space.size()
    if size is None or size > 500:
        return
    listed = {space.key(values) for values in space.points()}
    rng = np.random.default_rng(seed)
    assert {space.key(space.sample(rng)) for _ in range(20)} <= listed


@QUICK
@given(KINDS, UNIT)
def test_every_level_of_a_finite_axis_can_be_reached(kind: Any, coordinate: float) -> None:
    hp = HyperParameters()
    declare(hp, "h", *kind)
    for axis in Space(hp).dimensions:
        if axis.num_values is None:
            with pytest.raises(InputError, match="finite"):
                axis.values()
            assert axis.snap(coordinate) == coordinate
            continue
        levels = axis.values()
        assert len(levels) == axis.num_values
        assert [axis.value(axis.coordinate(level)) for level in levels] == levels
        coordinates = [axis.coordinate(level) for level in levels]
        assert coordinates == sorted(set(coordinates)) or axis.hp.get_config().get("sampling") == "reverse_log"
        assert axis.snap(coordinate) in coordinates
        assert all(axis.contains(level) for level in levels)


@QUICK
@given(spaces(max_size=4))
def test_defaults_and_grid_points_are_points_of_the_space(hp: HyperParameters) -> None:
    space = Space(hp)
    assert is_legal(hp, space.defaults())
    points = list(itertools.islice(space.points(grid_values), 50))
    assert points
    assert all(is_legal(hp, values) for values in points)


def test_steps_reach_the_end_of_the_range() -> None:
    space = space_of(lambda hp: (hp.Float("a", 0.0, 0.6, step=0.2), hp.Float("b", 0.1, 0.7, step=0.1)))
    a, b = (dimension.values() for dimension in space.dimensions)
    assert a == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert b == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_integers_on_a_log_scale_stay_in_range_and_reach_both_ends() -> None:
    axis = space_of(lambda hp: hp.Int("n", 1, 1000, sampling="log")).dimensions[0]
    values = [axis.value(coordinate) for coordinate in np.linspace(0, 1, 10001)]
    assert (min(values), max(values)) == (1, 1000)
    assert axis.kind == "integer"
    assert axis.num_values == 1000


def test_axes_know_their_kind() -> None:
    def build(hp: Any) -> None:
        hp.Choice("names", ["a", "b"])
        hp.Choice("numbers", [4, 1, 9])
        hp.Choice("unordered", [1, 2], ordered=False)
        hp.Boolean("flag")
        hp.Int("count", 1, 5)
        hp.Float("rate", 0, 1)
        hp.Float("share", 0, 1, step=0.5)
        hp.Fixed("base", 3)
        hp.Choice("only", ["one"])
        hp.Int("same", 2, 2)

    kinds = {axis.name: axis.kind for axis in space_of(build).dimensions}
    assert kinds == {
        "names": "category",
        "numbers": "integer",
        "unordered": "category",
        "flag": "category",
        "count": "integer",
        "rate": "float",
        "share": "integer",
    }


def test_what_cannot_vary_is_part_of_the_values_and_no_axis() -> None:
    space = space_of(lambda hp: (hp.Fixed("base", 3), hp.Choice("only", ["one"]), hp.Float("same", 2.0, 2.0)))
    assert len(space) == 0
    assert space.from_unit([]) == space.defaults() == {"base": 3, "only": "one", "same": 2.0}
    assert space.size() == 1


def nested(hp: Any) -> None:
    hp.Choice("kind", ["net", "tree"])
    with hp.conditional_scope("kind", ["net"]):
        hp.Choice("depth", [1, 2, 3])
        with hp.conditional_scope("depth", [2, 3]):
            hp.Boolean("skip")
            with hp.conditional_scope("skip", [True]):
                hp.Int("every", 1, 2)
    hp.Boolean("last")


def test_a_nested_space_is_counted_by_hand() -> None:
    # tree: 1; net: depth 1 -> 1, depths 2 and 3 -> skip False 1 + skip True 2 = 3 each; times 2 for `last`.
    space = space_of(nested)
    assert space.size() == 2 * (1 + 1 + 3 + 3)
    assert len(list(space.points())) == 16


def test_points_come_in_a_stable_order_the_last_varying_fastest() -> None:
    points = list(space_of(lambda hp: (hp.Int("a", 1, 2), hp.Choice("b", ["x", "y"]))).points())
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_space_with_a_continuous_axis_has_no_size() -> None:
    assert space_of(lambda hp: (hp.Float("x", 0, 1), hp.Boolean("b"))).size() is None


def test_a_huge_space_is_not_counted_for_ever() -> None:
    def build(hp: Any) -> None:
        for index in range(40):
            hp.Choice(f"p{index}", ["a", "b"])
            with hp.conditional_scope(f"p{index}", ["b"]):
                hp.Int(f"c{index}", 1, 100)

    assert space_of(build).size() is None


def test_a_long_chain_of_hyperparameters_is_no_trouble() -> None:
    def build(hp: Any) -> None:
        for index in range(1500):
            hp.Fixed(f"f{index}", index)
        hp.Boolean("b")

    space = space_of(build)
    assert space.size() == 2
    assert len(list(space.points())) == 2


def test_keys_tell_values_apart_by_type_and_not_by_order() -> None:
    assert Space.key({"a": 1, "b": 2}) == Space.key({"b": 2, "a": 1})
    assert len({Space.key({"a": value}) for value in (1, True, "1", None, (1,), "null", 1.5)}) == 7


def test_checking_fills_in_defaults_and_drops_what_is_inactive() -> None:
    space = space_of(nested)
    assert space.check({"kind": "tree", "depth": 3}) == {"kind": "tree", "last": False}
    assert space.check({"depth": 2, "skip": True}) == {
        "kind": "net",
        "depth": 2,
        "skip": True,
        "every": 1,
        "last": False,
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"kid": "net"}, "kid"),
        ({"kind": "mlp"}, "mlp"),
        ({"last": 1}, "last"),
        ({"depth": 2.5}, "2.5"),
        ({"depth": True}, "depth"),
    ],
)
def test_checking_names_what_is_wrong(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        space_of(nested).check(values)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [0, 11, "3", None, True, math.nan, math.inf, 2.5])
def test_an_integer_axis_holds_nothing_else(value: Any) -> None:
    with pytest.raises(InputError):
        space_of(lambda hp: hp.Int("n", 1, 10)).check({"n": value})


def test_an_inactive_coordinate_may_hold_anything() -> None:
    space = space_of(nested)
    unit = np.full(len(space), np.nan)
    unit[0] = 0.9
    assert space.from_unit(unit) == {"kind": "tree", "last": False}


def test_grid_of_a_continuous_axis_is_keras_tuners_ten_points() -> None:
    hp = kts.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Int("n", 1, 4)
    hp.Int("wide", 1, 10**6, sampling="log")
    x, n, wide = (grid_values(one) for one in hp.space)
    assert x == pytest.approx(np.arange(0.05, 1, 0.1))
    assert n == [1, 2, 3, 4]
    assert len(wide) == 10
    assert wide == sorted(wide)
