"""Where Plotly's JavaScript library is."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def plotly_path() -> Path | None:
    """Returns the library in Plotly's package, which is not imported; ``None`` where there is none."""
    try:
        spec = importlib.util.find_spec("plotly")
    except ImportError:
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return path if path.is_file() else None
