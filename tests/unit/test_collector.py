"""What importing brings is out of the garbage collector's sight; models never are."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc
import kt_suite
assert gc.get_freeze_count() < 1_000, "importing kt_suite alone leaves the collector as it is"
kt_suite.HyperParameters
print(gc.isenabled(), gc.get_freeze_count() > 100_000)

import keras
from kt_suite import collector
gc.unfreeze()
model = keras.Sequential([keras.layers.Dense(1)])
collector._is_settled = False
with collector.settling():
    print(gc.isenabled())
print(gc.isenabled(), gc.get_freeze_count())
"""


def test_imports_are_out_of_sight_and_layers_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True", "False", "True", "0"]
