"""Figures: tables in, Matplotlib axes out. One function a figure; never imports torch."""

from sparsecore.report.figures.automata import automata, path_through_sentence
from sparsecore.report.figures.causes import (
    acquisition,
    dose_response,
    slopes_by_arm,
    slopes_compared,
    slopes_over_loss,
    slopes_over_updates,
)
from sparsecore.report.figures.correlations import (
    class_correlations,
    correlations_over_epochs,
    methods_compared,
    without_words,
    without_words_by_epoch,
)
from sparsecore.report.figures.crossing import chi_by_blocks, survival
from sparsecore.report.figures.exposure import exposure_heatmap, exposure_lines
from sparsecore.report.figures.headline import headline
from sparsecore.report.figures.layout import beside
from sparsecore.report.figures.masks import embedding_masks, mask, recurrent_masks
from sparsecore.report.figures.measures import chi_in_the_plane, chi_of_part
from sparsecore.report.figures.perplexity import perplexities_compared, perplexity_over_epochs
from sparsecore.report.figures.reciting import recited, reciting_over_epochs
from sparsecore.report.figures.regularisation import (
    accuracy_against_transitions,
    states_kept,
    tradeoff_panels,
    transitions_left,
)
from sparsecore.report.figures.scale import (
    classes_over_w,
    findings_by_scale,
    rho_by_scale,
    rho_by_training,
)
from sparsecore.report.figures.speed import beside_peers, growth_panels
from sparsecore.report.figures.stack import stack
from sparsecore.report.figures.tagging import accuracy_by_frequency, orders_compared, tradeoff
from sparsecore.report.figures.training import (
    mark_step_cuts,
    perplexity_over_steps,
    training_curve,
)
from sparsecore.report.figures.transformer import rho_by_block
from sparsecore.report.figures.words import chi_against_frequency, samples_compared

__all__ = [
    "accuracy_against_transitions",
    "accuracy_by_frequency",
    "acquisition",
    "automata",
    "beside",
    "beside_peers",
    "chi_against_frequency",
    "chi_by_blocks",
    "chi_in_the_plane",
    "chi_of_part",
    "class_correlations",
    "classes_over_w",
    "correlations_over_epochs",
    "dose_response",
    "embedding_masks",
    "exposure_heatmap",
    "exposure_lines",
    "findings_by_scale",
    "growth_panels",
    "headline",
    "mark_step_cuts",
    "mask",
    "methods_compared",
    "orders_compared",
    "path_through_sentence",
    "perplexities_compared",
    "perplexity_over_epochs",
    "perplexity_over_steps",
    "recited",
    "reciting_over_epochs",
    "recurrent_masks",
    "rho_by_block",
    "rho_by_scale",
    "rho_by_training",
    "samples_compared",
    "slopes_by_arm",
    "slopes_compared",
    "slopes_over_loss",
    "slopes_over_updates",
    "stack",
    "states_kept",
    "survival",
    "tradeoff",
    "tradeoff_panels",
    "training_curve",
    "transitions_left",
    "without_words",
    "without_words_by_epoch",
]
