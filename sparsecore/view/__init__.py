"""Figures: tables in, Matplotlib axes out. One function a figure; never imports torch."""

from sparsecore.view.correlations import (
    class_correlations,
    correlations_over_epochs,
    methods_compared,
    without_words,
)
from sparsecore.view.exposure import exposure_heatmap, exposure_lines
from sparsecore.view.layout import beside
from sparsecore.view.training import mark_step_cuts, training_curve
from sparsecore.view.words import chi_against_frequency, samples_compared

__all__ = [
    "beside",
    "chi_against_frequency",
    "class_correlations",
    "correlations_over_epochs",
    "exposure_heatmap",
    "exposure_lines",
    "mark_step_cuts",
    "methods_compared",
    "samples_compared",
    "training_curve",
    "without_words",
]
