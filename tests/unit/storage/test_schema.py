from __future__ import annotations

import dataclasses

from kt_suite.storage.schema import RUN_COLUMNS, TRIAL_COLUMNS
from kt_suite.trial import RunRecord, TrialRecord


def test_every_field_of_a_record_has_a_column() -> None:
    fields = [field.name for field in dataclasses.fields(TrialRecord)]
    assert set(TRIAL_COLUMNS) == set(fields) - {"runs"}
    assert set(RUN_COLUMNS) == {field.name for field in dataclasses.fields(RunRecord)}
