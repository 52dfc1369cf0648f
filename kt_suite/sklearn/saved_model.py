"""A Keras model on its way through pickle or a copy: the bytes of the file that Keras itself would write."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras


@dataclass(frozen=True)
class SavedModel:
    """The content of a ``.keras`` file.

    Attributes:
        content: The bytes.
    """

    content: bytes

    @classmethod
    def of(cls, model: Any) -> Any:
        """Returns a Keras model as its file; anything else stays itself."""
        if not isinstance(model, keras.Model):
            return model
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "model.keras")
            if model.optimizer is not None:  # unbuilt, it would make the load warn
                model.optimizer.build(model.trainable_variables)
            model.save(path)
            return cls(path.read_bytes())


def revived(saved: Any) -> Any:
    """Returns the model that :meth:`SavedModel.of` saved; anything else stays itself."""
    if not isinstance(saved, SavedModel):
        return saved
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.keras")
        path.write_bytes(saved.content)
        return keras.models.load_model(path)
