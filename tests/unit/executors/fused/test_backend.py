"""What the engine needs of its backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kt_suite.executors.fused import backend


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX warns of no tracing")
def test_a_program_for_each_of_many_groups_brings_no_warning_of_tracing(caplog: pytest.LogCaptureFixture) -> None:
    def double(array: Any) -> Any:
        return array * 2

    for size in range(12):
        compiled = backend.current().compile(double, False)
        assert len(compiled(np.zeros(size))) == size
    assert "retracing" not in caplog.text
