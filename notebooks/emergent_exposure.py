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
# # Does a network become sparser where it has seen more?
#
# :::{admonition} What we found
# :class: found
# - In the first pass over WikiText-2, yes: over W, the words that the runs see at least 3,000 times, the correlation of concentration with log
#   frequency is {result}`emergent/wikitext-2-lr20 left_out.value statistic=rho method=pearson_log dropped=0 epoch=1 %+.2f`. By the third pass it is lost ({result}`emergent/wikitext-2-lr20 left_out.value statistic=rho method=pearson_log dropped=0 epoch=3 %.2f`); in the twentieth it is {result}`emergent/wikitext-2-lr20 left_out statistic=rho method=pearson_log dropped=0 epoch=last` ({result}`emergent/wikitext-2-lr20 left_out statistic=rho method=pearson dropped=0 epoch=last` with raw frequency), much of it gained after
#   the eighth pass ([by scale](emergent_scale.ipynb)).
# - At the end about twenty words account for nearly all of it: without the twenty commonest words and punctuation marks it is {result}`emergent/wikitext-2-lr20 left_out statistic=rho method=pearson_log dropped=20 epoch=last`,
#   and by rank correlation over all of W {result}`emergent/wikitext-2-lr20 left_out statistic=rho method=spearman dropped=0 epoch=last`. In the first pass it did not depend on them ({result}`emergent/wikitext-2-lr20 left_out.value statistic=rho method=pearson_log dropped=20 epoch=1 %+.2f` without the twenty). In between, the correlation over the
#   other words had become negative ({result}`emergent/wikitext-2-lr20 left_out.value statistic=rho method=pearson_log dropped=20 epoch=6 %+.2f` in the sixth pass); from there it rose as much as that over all of W, but only to zero.
# - Over all words the correlation with log frequency fades instead: {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=3 %+.2f` in the third pass, {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=last %+.2f` in the last;
#   on Wikipedia {result}`emergent/enwiki-7m-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=1 %+.2f` in the first and {result}`emergent/enwiki-7m-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=last %+.2f` in the last. This is decided by the majority of words, which have been seen much less often.
# :::
#
# A language model predicts the next word. When it has made its guess, the true word sends a
# {term}`gradient` back through the network: a vector that says, for each unit of a layer, how
# its output should have been different. If a few units account for most of that, the gradient is
# *concentrated*. This page asks whether the gradients of frequent words are more concentrated
# than those of rare ones, and whether that takes training.
#
# The measure is $\chi(v) = \lVert v\rVert_2 / \lVert v\rVert_1$ ({term}`chi`): 1 if one entry
# holds everything, $1/\sqrt{D}$ if all $D$ entries are equally large. The gradient is that of the
# upper LSTM layer, $\bar h^2$, which the {term}`target word` sends down from the softmax.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, a name or a path; None: the preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "wikitext-2-lr20"  # which committed runs stand beside yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.pages.emergent import about, open_page, verdicts

page = open_page(
    preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device
)
about(page)

# %% [markdown]
# ## What the paper found
#
# {cite:t}`saphra2019` train a two-layer LSTM on English Wikipedia for 50 epochs. Their Figure 2
# shows the mean $\chi(\bar h^2)$ of each frequent target word over the epochs, one row per word. It
# brightens in two directions: with the frequency of the word, and with the time spent training.
# "More exposure leads to sparser relevance."
#
# ## What the runs here give
#
# Each row is a target word, the most frequent at the bottom; each column an epoch. Column 0 is
# the network before any training. Brighter is more concentrated.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-exposure", "caption": "Mean concentration $\\chi(\\bar h^2)$ of the gradient that each target word sends into the upper LSTM layer, over training (Figure 2 of the paper). In the reference runs only the rows of the commonest words, at the bottom, stay bright; the others brighten in epochs 2 to 4 and fade. The colour scale is pointed at both ends because a few words lie beyond it, the commonest (lowest rows) beyond its bright end."}, "image": {"alt": "Heat map, target words by epochs. Colour is the mean concentration of the upper layer's gradient.", "classes": "dark-light"}}
axes = page.beside(figures.exposure_heatmap, "exposure", same_y=False)

# %% [markdown]
# The same numbers as lines, averaged over words of similar frequency rank. Three grey levels help to
# read the scale. The solid one is the least possible value, $1/\sqrt{D}$. The dotted one
# is what $D$ independent normal random numbers would give, $\sqrt{\pi/2D}$: a gradient near it is
# *not* sparse in any useful sense, whatever its correlation with frequency. The dashed one is that of uniform random
# numbers, $2/\sqrt{3D}$. Here $D$ is the number of units that dropout leaves, 160 of 200, since the gradient of the others is zero.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-exposure-lines", "caption": "The same, averaged over bands of frequency ranks. In the reference runs all words begin at the value of uniform numbers (dashed). The three commonest end far above that of normal numbers (dotted), ranks 4 to 30 a little above it, and the others almost on it."}, "image": {"alt": "Line chart: mean concentration over epochs, one line for each band of frequency ranks, with three grey reference levels.", "classes": "dark-light"}}
axes = page.beside(
    figures.exposure_lines,
    "exposure",
    same_y=False,
    each=page.widths,
    examples=False,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# Before training all words lie on the dashed level, at 0.0913: the rows of the output layer, of which the gradient is a weighted sum, are drawn from a
# uniform distribution. Training makes their entries look like normal numbers, which accounts for much of the rise that all words share in the first epoch.
#
# ## How many words carry it?
#
# A correlation over hundreds of words may rest on a few of them. So here it is computed over W without its commonest words, at four points in training:
# after the first epoch, the third, the last before the learning rate is cut, and the last of all.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-without", "caption": "Correlation of $\\chi(\\bar h^2)$ with target-word frequency once the most frequent words are left out (log frequency left, raw right; thin lines: single seeds). After the first epoch the line on log frequency stays up, as all common words take part; on raw frequency it falls with the first three and recovers. After the last epoch the line on log frequency falls to zero once twenty are gone and below zero further on; that on raw frequency reaches zero a little later. The comma, the full stop and *the* are the first to go. This was looked at afterwards: no rule was written for it."}, "image": {"alt": "Two line charts: correlation against the number of most frequent words left out, a line for each of four epochs.", "classes": "dark-light"}}
if "without" in page.main:  # tables of the first round lack it
    axes = figures.without_words_by_epoch(
        page.main["without"], epochs=(1, 3, 8, 20)
    )

# %% [markdown]
# ## How sure are we?
#
# One correlation sums up the picture: that over words, between mean $\chi(\bar h^2)$ and frequency. It
# should be above 0 at the end, and should have grown since the first epoch. It is computed twice,
# on raw frequency as in the paper, and on its logarithm: word frequencies are so uneven that a
# handful of words decide the former. The rule is about W (the paper's rarest word is seen 5,000 times);
# [the parts and their values](../../book/emergent/verdicts.md) have a page of their own.

# %% tags=["remove-input"]
verdicts(page, 1)

# %% [markdown]
# Thin lines are single seeds, and show how much another training run would differ. How much the result depends on *which words*
# there are is found by resampling the words. The intervals above account for both. One seed,
# as in the quick preset, has no interval and decides nothing.

# %% [markdown]
# ## How such a table is made
#
# `sc.track` records, while the block runs, what comes out of the named layers and the gradient that comes back, for any
# model. Its table has a row for each word, signal and role:

# %%
import torch
from torch import nn

import sparsecore as sc

model = nn.Sequential(nn.Embedding(500, 32), nn.GRU(32, 64, batch_first=True))
head = nn.Linear(64, 500)
read, predicted = torch.randint(500, (2, 8, 20))  # words of a text, by number
with sc.track(model, layers=["1"]) as tracker:
    tracker.words(input_ids=read, target_ids=predicted)
    scores = head(model(read)[0]).flatten(0, 1)
    nn.functional.cross_entropy(scores, predicted.flatten()).backward()
tracker.table().columns.tolist()

# %% [markdown]
# ## The training itself
#
# Last, the loss. Dashed vertical lines mark where the {term}`learning rate` was
# cut to a quarter: in the reference runs after epochs 8 and 14, as planned, in others when the loss on held-out text does not
# improve. In the first epochs the training loss is the higher one: it is an average over the epoch, and is taken with dropout.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-training", "caption": "Loss on the training and validation text, in nats per token (left) and as perplexity (right). In the reference runs the training loss is the lower one from the sixth epoch on, and the gap widens: the network begins to learn its training text by heart. Both fall at the first cut of the learning rate."}, "image": {"alt": "Line chart: training and validation loss over epochs, dashed vertical lines where the learning rate was cut.", "classes": "dark-light"}}
axes = page.beside(figures.training_curve, "epochs", same_y=False)

# %% [markdown]
# ## What to try next
#
# - A real text in place of the embedded one: `make book PRESET=small`, after
#   `sparsecore data fetch wikitext-2`.
# - More epochs, for this page alone: `papermill` with `-p epochs 10`, or
#   `make book ARGS="-p epochs 10"`.
# - The gradient *with* the recurrent path:
#   `sparsecore run emergent --preset quick --gradient total`.
