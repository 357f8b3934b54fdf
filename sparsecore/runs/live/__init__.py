"""Panels for a live notebook: controls of ipywidgets in front of what needs torch."""

from sparsecore.runs.live.geometry import your_geometry
from sparsecore.runs.live.sentence import your_sentence
from sparsecore.runs.live.text import your_text

__all__ = ["your_geometry", "your_sentence", "your_text"]
