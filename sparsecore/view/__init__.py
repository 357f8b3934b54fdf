"""Figures: tables in, Matplotlib axes out. One function a figure; never imports torch."""

from sparsecore.view.automata import automata, path_through_sentence
from sparsecore.view.correlations import (
    class_correlations,
    correlations_over_epochs,
    methods_compared,
    without_words,
)
from sparsecore.view.crossing import chi_by_blocks, survival
from sparsecore.view.exposure import exposure_heatmap, exposure_lines
from sparsecore.view.layout import beside
from sparsecore.view.masks import embedding_masks, mask, recurrent_masks
from sparsecore.view.measures import chi_in_the_plane, chi_of_part
from sparsecore.view.perplexity import perplexities_compared, perplexity_over_epochs
from sparsecore.view.reciting import recited, reciting_over_epochs
from sparsecore.view.regularisation import (
    accuracy_against_transitions,
    states_kept,
    tradeoff_panels,
    transitions_left,
)
from sparsecore.view.speed import beside_peers, growth_panels
from sparsecore.view.stack import stack
from sparsecore.view.tagging import accuracy_by_frequency, orders_compared
from sparsecore.view.tradeoff import tradeoff
from sparsecore.view.training import mark_step_cuts, training_curve
from sparsecore.view.words import chi_against_frequency, samples_compared

__all__ = [
    "accuracy_against_transitions",
    "accuracy_by_frequency",
    "automata",
    "beside",
    "beside_peers",
    "chi_against_frequency",
    "chi_by_blocks",
    "chi_in_the_plane",
    "chi_of_part",
    "class_correlations",
    "correlations_over_epochs",
    "embedding_masks",
    "exposure_heatmap",
    "exposure_lines",
    "growth_panels",
    "mark_step_cuts",
    "mask",
    "methods_compared",
    "orders_compared",
    "path_through_sentence",
    "perplexities_compared",
    "perplexity_over_epochs",
    "recited",
    "reciting_over_epochs",
    "recurrent_masks",
    "samples_compared",
    "stack",
    "states_kept",
    "survival",
    "tradeoff",
    "tradeoff_panels",
    "training_curve",
    "transitions_left",
    "without_words",
]
