"""One thread for small matrices."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import scipy.linalg  # noqa: F401 - its BLAS must be loaded before the controller looks for libraries
from threadpoolctl import ThreadpoolController


@lru_cache(maxsize=1)
def _controller() -> Any:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Returns a context in which BLAS uses one thread.

    For matrices of a few hundred rows the threads cost more than they bring (KerasTuner's Bayesian search is four times
    slower with two), they take cores from trials that train meanwhile, and one thread gives the same bits every time.
    """
    controller: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return controller
