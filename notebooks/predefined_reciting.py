# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learning to recite
#
# :::{admonition} What we found
# :class: found
# - Training failed for most models, so the order in which they end means nothing: the full dense model recites
#   {result}`reciting/ptb accuracy.accuracy family="dense" part=1 %.0f` % of the words, the smaller ones between
#   {result}`reciting/ptb accuracy.accuracy family="sparse RNN + sparse embedding" part=3 %.0f` and
#   {result}`reciting/ptb accuracy.accuracy family="sparse RNN + sparse embedding" part=2 %.0f` %.
# - Some runs never leave the plateau on which a model predicts the commonest word everywhere, and which runs do
#   decides the order.
# - No finding was tested: training ended before capacity could show. A second round, with more updates and
#   room, is [registered](../../book/registrations.md).
# :::
#
# How much can a network hold? One way to ask is to let it learn a text by heart: no dropout, no validation text,
# nothing that prevents it. Then count how many words of the text it can predict, each from the words before it. A model with
# enough parameters knows all of it. With fewer, the question is how to spend them:
#
# - **dense**: a smaller model, every weight of which is there;
# - **sparse RNN**: recurrent layers as wide as the large model's, with few connections;
# - **sparse RNN + sparse embedding**: the large model's embedding as well, in which rare words store
#   only the first of their numbers.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, ptb, a name or a path; None: preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "ptb"  # which committed runs stand beside yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.pages.reciting import (
    about,
    accuracy_sentence,
    accuracy_table,
    open_page,
)
from sparsecore.report.pages.verdicts import parts_table, verdict_sentence

page = open_page(
    preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device
)
about(page)

# %% [markdown]
# ## What the paper found
#
# {cite:t}`demeester2018` let seven models learn the training text of the Penn Treebank, 930 thousand
# words (Table 4). The original has 24 million parameters and learns all of it. With 7 million, a dense
# model of half the widths gets 67 words in 10,000 wrong; a model with sparse recurrent layers only 5.
# A sparse embedding on top of that costs a little. With less than 4 million all of them fail on many
# words, and the order changes: sparse layers alone are now the worst choice, and sparse layers with
# a sparse embedding the best.
#
# ## What the runs here give
#
# The accuracy of an epoch is the paper's: each word is predicted before the update that learns from
# it.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reciting-epochs", "caption": "How much of the text each model recites, over the epochs. Solid: as many parameters as the original; dashed: as a dense model of half its widths; dotted: of a third. Lines of one style have equally many parameters. Lines that stay at the bottom are on the plateau, and most others still rise at the end. Bands: from the least to the greatest of the seeds."}, "image": {"alt": "Line chart: share of words predicted right over the epochs, a line for each of seven models.", "classes": "dark-light"}}
whose = ("reference runs", "your runs")
axes = figures.beside(
    figures.reciting_over_epochs, page.reference, page.own, "curves", titles=whose
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reciting", "caption": "The best epoch of each model (Table 4 of the paper). Crosses: the paper's, for a text and models about a hundred times as large. Our marks are in another order than the crosses, and far below them. Bars: 95 % intervals of the mean over seeds, where there are three or more, cut at 0 and 100 %."}, "image": {"alt": "Point chart: share of words predicted right by seven models, in groups of equal numbers of parameters, with the paper's values.", "classes": "dark-light"}}
axes = figures.beside(
    figures.recited,
    page.reference,
    page.own,
    "accuracy",
    same_y=False,
    titles=whose,
)

# %% tags=["hide-input"]
accuracy_table(page)

# %% tags=["remove-input"]
accuracy_sentence(page)

# %% [markdown]
# *In evaluation mode*: the best accuracy of a separate pass after each epoch, with fixed weights, as one would get it from the
# finished model.
#
# The {term}`plateau` lies at the share of the commonest word: predicting it everywhere lowers the loss at once,
# and to leave it a model has to learn what follows what. Runs that are still there have failed to train. The verdicts leave them out,
# and this page does not, so their numbers differ: at a half, sparse RNN minus dense is
# {result}`reciting/ptb findings finding=1 part="a half: sparse RNN minus dense"` points over all runs, and {claim}`reciting-1`
# points over those that left the plateau, of which the dense half has only one.
#
# In code: the best epoch of every run in percent, and the spread over seeds. `part` is the size, as one part in so many of
# the original's widths. Where the least and the most of a row lie far apart, some seeds have learned and others have not.

# %%
runs = page.main["runs"]
percent = runs.assign(accuracy=100 * runs["accuracy"])
by_model = percent.groupby(["part", "family"])["accuracy"]
by_model.agg(["mean", "min", "max", "count"]).round(1)

# %% [markdown]
# ## How sure are we?
#
# Three findings, each a difference between two models with equally many parameters, in percentage
# points, with a 95 % interval over seeds. A part is true if the whole interval is above 0. [All parts of the rules](../../book/predefined/verdicts.md).

# %% tags=["remove-input"]
parts_table(page, 1, 2, 3)

# %% tags=["remove-input"]
verdict_sentence(page, 1, 2, 3)

# %% [markdown]
# Why can these runs not decide? All presets except `paper` shrink text and models together, so that a word still has about as
# many parameters as in the paper. But the number of updates shrinks too, from 100 thousand to a few thousand. A model that has
# not finished learning recites less than it could hold, and then speed is measured as much as capacity. And the learning rate of
# each model is the one that did best for a single tuning seed; near the largest rate that a model tolerates, the next seed may
# hardly learn at all.
#
# ## What to try next
#
# - The text of the paper is licensed: `sparsecore data info ptb` says how to get it. Then
#   `sparsecore sweep reciting --preset small`. Any other text does as well: `--corpus FILE`.
# - More time: `--epochs 400 --decay 0.99`.
# - Full size on a GPU: `sparsecore sweep reciting --preset paper`.
# - What the layers look like from inside: {doc}`explore_masks`.
