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
# # Word by word at the end of training
#
# :::{admonition} What we found
# :class: found
# - A handful of words and punctuation marks, which count as words here, stand apart: the full stop is highest with a mean $\chi$ of
#   {result}`emergent/wikitext-2-lr20 words.chi_lstm2_gradient_target word=. %.3f`, then *the* with {result}`emergent/wikitext-2-lr20 words.chi_lstm2_gradient_target word=the %.3f`. Most others lie within a few
#   thousandths of {result}`emergent/wikitext-2-lr20 words.chi_lstm2_gradient_target %.3f`.
# - Function words minus content words on Wikipedia, in thousandths: {result}`emergent/enwiki-7m-lr20 verdicts finding=7 part="mean χ, closed minus open, over words seen more than 1,000 times" * 1000` over words that occur more than 1,000 times, {result}`emergent/enwiki-7m-lr20 verdicts finding=7 part="mean χ, closed minus open, at equal log frequency over W" * 1000`
#   at equal log frequency over words seen at least 3,000 times in training. On WikiText-2, where too few content words are as frequent as the paper's, {result}`emergent/wikitext-2-lr20 differences.adjusted epoch=last sample=all * 1000 %+.1f` over all words at
#   equal log frequency.
# - So on Wikipedia, which decides, function words do not, as a class, send the more concentrated gradients: finding 7 {verdict}`emergent-7`. In one comparison on WikiText-2, of samples of common words that are equally frequent on average, function words are ahead
#   ({result}`emergent/wikitext-2-lr20 verdicts finding=7 part="mean χ, closed minus open, in samples of W matched in frequency" * 1000`); on Wikipedia the same comparison decides nothing ({result}`emergent/enwiki-7m-lr20 verdicts finding=7 part="mean χ, closed minus open, in samples of W matched in frequency" * 1000`).
# :::
#
# A correlation is one number for thousands of words. Here are the words themselves: each a point,
# by its frequency and the mean concentration of the gradient that it sends into the upper LSTM
# layer when it is the {term}`target <target word>`.

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
from sparsecore.report.pages.emergent import (
    about,
    differences_table,
    extremes,
    open_page,
    verdicts,
    with_matched,
)

page = open_page(
    preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device
)
about(page)

# %% [markdown]
# ## What the paper found
#
# Figure 5 of {cite:t}`saphra2019` shows words that occur more than 1,000 times: $\chi$ rises with
# frequency, and function words lie above content words. "Gradients associated with function words
# are more concentrated than the gradients of content words, even controlling for word frequency."
#
# ## What the runs here give
#
# The scale on the right translates $\chi$ into {term}`effective units`, $1/\chi^2$: how many equally
# large entries would be as concentrated.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-words", "caption": "Mean concentration $\\chi(\\bar h^2)$ of each target word after the last epoch, against its frequency (Figure 5 of the paper). In the reference runs the line, a mean over words whose frequencies lie within a factor of two, rises a little up to some tens of occurrences, falls, and rises again for the twenty or so commonest words and punctuation marks at the right. Up to some 2,000 occurrences squares (closed classes) and dots (open classes) are intermingled; nearly all words beyond are of closed classes."}, "image": {"alt": "Scatter chart: one point per word, frequency on a logarithmic axis against mean concentration, coloured by class; the most frequent words are named.", "classes": "dark-light"}}
axes = page.beside(
    figures.chi_against_frequency,
    "words",
    same_y=False,
    value="chi_lstm2_gradient_target",
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# The samples matched in frequency, one mark per word:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-matched", "caption": "Mean concentration of the words in the two samples of *all* words that have equal mean frequency (the third row of the table below); the bars are the means of the samples. In the reference runs the means differ by a fraction of a thousandth, while the words of each sample spread over some six thousandths."}, "image": {"alt": "Strip chart: concentration of the words of the closed and the open sample, with their means.", "classes": "dark-light"}}
axes = figures.beside(
    figures.samples_compared,
    with_matched(page.reference),
    with_matched(page.own),
    "matched",
    same_y=False,
    value="chi_lstm2_gradient_target",
)

# %% [markdown]
# Whether function words are ahead depends on which words are compared, and how. Closed minus open in mean $\chi$, in thousandths:

# %% tags=["remove-input"]
differences_table(page)

# %% [markdown]
# *At equal log frequency* is the coefficient of class in a regression of $\chi$ on class and log frequency. The regression takes
# that relation to be a straight line; matched samples assume no such thing, but are matched in their mean only.

# %%
import numpy as np

words = page.main["words"].query("word_class in ('open', 'closed')")
closed = (words["word_class"] == "closed").to_numpy(float)
design = np.column_stack([np.ones(len(words)), closed, np.log(words["frequency"])])
target = words["chi_lstm2_gradient_target"].to_numpy()
_, difference, per_nat = np.linalg.lstsq(design, target)[0]
f"closed minus open: {difference:+.4f}; per nat of frequency: {per_nat:+.5f}"

# %% [markdown]
# Which words are they? Here are the extremes of each class among the words that occur at least 100 times in the text:

# %% tags=["remove-input"]
extremes(page.main, min_frequency=100)

# %% [markdown]
# ## How sure are we?
#
# Finding 7 is decided by the difference of the two means over words that occur more than 1,000 times in the text, and over W,
# the words seen at least 3,000 times in training, at equal log frequency; the matched samples of W complete it. See [all parts of its
# rule](../../book/emergent/verdicts.md).

# %% tags=["remove-input"]
verdicts(page, 7)

# %% [markdown]
# ## What to try next
#
# - The same for another signal: the table holds all of them, as in
#   `page.main["words"]["chi_lstm1_activation_input"]`.
# - `figures.chi_against_frequency(page.main["words"], value="chi_embedding_activation_input")`
#   draws it.
