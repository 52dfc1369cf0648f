"""What all contracts share: clauses that a subject is known not to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest


class Contract:
    """A class of tests that subclasses run on a subject of their own.

    Attributes:
        exceptions: Test name, with or without its parameter in brackets, to the reason why the subject does not keep
            that clause. Such a test is expected to fail, and reported when it no longer does.
    """

    exceptions: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _stated_exceptions(self, request: Any) -> None:
        for name in (request.node.name, request.node.originalname):
            if name in self.exceptions:
                request.applymarker(pytest.mark.xfail(reason=self.exceptions[name], strict=True))
