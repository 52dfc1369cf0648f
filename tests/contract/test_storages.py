"""Every storage of kt_suite keeps the contract."""

from __future__ import annotations

from typing import Any

import pytest

from kt_suite.testing import StorageContract, registry


class TestStorages(StorageContract):
    @pytest.fixture(params=registry.storages().values(), ids=registry.storages().keys())
    def storage_class(self, request: Any) -> Any:
        return request.param
