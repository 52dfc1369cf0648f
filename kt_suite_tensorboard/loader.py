"""The entry point of the plugin."""

from __future__ import annotations

import logging
from typing import Any

from tensorboard.plugins import base_plugin


class TuningLoader(base_plugin.TBLoader):  # type: ignore[misc]
    """Loads the plugin; where that fails, TensorBoard starts without it."""

    def load(self, context: Any) -> Any:
        """Returns the plugin, or ``None``.

        Args:
            context: TensorBoard's ``TBContext``.
        """
        try:
            from kt_suite_tensorboard.plugin import TuningPlugin

            return TuningPlugin(context)
        except Exception:  # TensorBoard loads plugins unguarded: no error of ours may end its start
            logging.getLogger(__name__).exception("The tab Tuning of kt_suite could not be loaded")
            return None
