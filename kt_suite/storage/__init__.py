"""The truth about a search, on disk. Imports neither TensorFlow nor KerasTuner."""

from kt_suite.storage.storage import FILE_NAME, Storage, is_draft

__all__ = ["FILE_NAME", "Storage", "is_draft"]
