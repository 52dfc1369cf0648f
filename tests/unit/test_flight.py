from __future__ import annotations

import pytest

from kt_suite.executors import Event
from kt_suite.flight import Flight
from kt_suite.hyperparameters import HyperParameters
from kt_suite.oracles import Trial


def fill(flight: Flight, num_trials: int) -> list[Trial]:
    trials = [Trial(HyperParameters(), f"{number:04d}") for number in range(num_trials)]
    for trial in trials:
        flight.add(trial, flight.name())
    return trials


def booked(flight: Flight) -> list[str]:
    return [trial.trial_id for trial, _ in flight.to_book()]


def test_without_a_window_there_is_room_for_free_slots_only() -> None:
    flight = Flight()
    assert flight.room(3) == 3
    fill(flight, 2)
    assert flight.room(3) == 1
    assert flight.room(0) < 1


def test_a_window_is_filled_whatever_is_free() -> None:
    flight = Flight(window=4)
    assert flight.room(0) == 4
    fill(flight, 3)
    assert flight.room(8) == 1


def test_places_have_names_of_their_own_that_are_given_again_when_free() -> None:
    flight = Flight()
    fill(flight, 3)
    assert flight.name() == "tuner3"
    flight.start(flight.next_waiting(), "slot0")
    flight.land(Event("done", "0000", 1))
    assert booked(flight) == ["0000"]
    assert flight.name() == "tuner0"


def test_trials_start_in_the_order_of_their_proposal() -> None:
    flight = Flight()
    trials = fill(flight, 2)
    assert [flight.next_waiting() for _ in range(3)] == [*trials, None]


def test_only_trials_at_work_are_running() -> None:
    flight = Flight()
    trials = fill(flight, 2)
    flight.start(trials[0], "slot0")
    assert (flight.running("0000"), flight.running("0001"), flight.running("9999")) == (trials[0], None, None)
    assert (flight.slots, flight.at_work()) == ({"slot0"}, [trials[0]])
    flight.land(Event("done", "0000", 1))
    assert flight.running("0000") is None
    assert flight.slots == set()
    assert len(flight) == 2  # until it is booked


@pytest.mark.parametrize(
    ("window", "expected"), [(None, [["0002"], ["0000"], ["0001"]]), (3, [[], ["0000"], ["0001", "0002"]])]
)
def test_results_are_booked_as_they_come_or_in_the_order_of_proposal(
    window: int | None, expected: list[list[str]]
) -> None:
    flight = Flight(window)
    for number, trial in enumerate(fill(flight, 3)):
        flight.start(trial, f"slot{number}")
    seen = []
    for trial_id in ("0002", "0000", "0001"):
        flight.land(Event("done", trial_id, 1))
        seen.append(booked(flight))
    assert seen == expected
    assert len(flight) == 0


def test_giving_up_forgets_everything() -> None:
    flight = Flight(window=3)
    trials = fill(flight, 3)
    flight.start(flight.next_waiting(), "slot0")
    assert flight.give_up() == trials
    assert (len(flight), flight.slots, flight.next_waiting()) == (0, set(), None)
    assert booked(flight) == []
