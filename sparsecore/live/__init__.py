"""Panels for a live notebook: controls of ipywidgets in front of what needs torch."""

from sparsecore.live.geometry import your_geometry
from sparsecore.live.text import your_text

__all__ = ["your_geometry", "your_text"]
