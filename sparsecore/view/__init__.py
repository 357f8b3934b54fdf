"""Figures: tables in, Matplotlib axes out. One function a figure; never imports torch."""

from sparsecore.view.correlations import (
    class_correlations,
    correlations_over_epochs,
    methods_compared,
    without_words,
)
from sparsecore.view.exposure import exposure_heatmap, exposure_lines
from sparsecore.view.layout import beside
from sparsecore.view.tagging import accuracy_by_frequency, orders_compared
from sparsecore.view.tradeoff import tradeoff
from sparsecore.view.training import mark_step_cuts, training_curve
from sparsecore.view.words import chi_against_frequency, samples_compared

__all__ = [
    "accuracy_by_frequency",
    "beside",
    "chi_against_frequency",
    "class_correlations",
    "correlations_over_epochs",
    "exposure_heatmap",
    "exposure_lines",
    "mark_step_cuts",
    "methods_compared",
    "orders_compared",
    "samples_compared",
    "tradeoff",
    "training_curve",
    "without_words",
]
