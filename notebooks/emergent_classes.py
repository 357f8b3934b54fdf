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
# # Do function words and content words differ?
#
# :::{admonition} What we found
# :class: found
# - Over all content words the correlation falls in the second half of training, from {result}`emergent/wikitext-2-lr20 classes.rho group=open method=pearson_log epoch=10 %+.2f` to {result}`emergent/wikitext-2-lr20 classes.rho group=open method=pearson_log epoch=last %+.2f`. Over the
#   content words of W, those seen at least 3,000 times in training, it rises from {result}`emergent/wikitext-2-lr20 scale.value finding=6 statistic="ρ over the open classes of W" method=pearson_log epoch=10 %+.2f` to {result}`emergent/wikitext-2-lr20 scale.value finding=6 statistic="ρ over the open classes of W" method=pearson_log epoch=last %+.2f`: it
#   becomes less negative (all on log frequency).
# - Function words of W end far above them, at {result}`emergent/wikitext-2-lr20 scale.value finding=6 statistic="ρ over the closed classes of W" method=pearson_log epoch=last %+.2f`. We do not see content words gain more than function words in the second half, as they do in
#   the paper: the difference between the gains is {result}`emergent/wikitext-2-lr20 verdicts finding=6 part="gain in the second half of training over W: open minus closed" method=pearson_log` on WikiText-2 and {result}`emergent/enwiki-7m-lr20 verdicts finding=6 part="gain in the second half of training over W: open minus closed" method=pearson_log` on Wikipedia, where it is decisive (finding 6 {verdict}`emergent-6`).
# - Neither class sends the more concentrated gradients on both texts. Over all words, at equal log frequency, the mean $\chi$ of function
#   words minus that of content words is {over-seeds}`emergent/enwiki-7m-lr20 differences.adjusted epoch=last sample=all * 1000` thousandths on Wikipedia and {over-seeds}`emergent/wikitext-2-lr20 differences.adjusted epoch=last sample=all * 1000` on WikiText-2 (intervals
#   over three seeds; [other sets of words and methods](emergent_words.ipynb)).
# :::
#
# Articles, prepositions, pronouns, conjunctions: the {term}`closed classes <closed class>` have
# few members, and those are frequent. Nouns, verbs, adjectives, adverbs: the
# {term}`open classes <open class>` have thousands, most of them rare. If gradients become
# concentrated with exposure, is that one effect or two?
#
# Each word is assigned the part of speech with which most of its occurrences are tagged, by a small
# tagger that comes with this project, or by any spaCy pipeline that you name. Words without a
# majority belong to neither class.

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
# Figure 4 of {cite:t}`saphra2019` splits $\rho_\leftarrow(\bar h^2)$ by class. Among closed-class
# words it is high early and soon stable. Among open-class words it goes on rising throughout
# training. The authors suggest that function words signal syntax, which is learned first, and
# that content words matter for the particular predictions that are learned afterwards.
#
# Since function words are also the frequent ones, the authors add a control: a
# {term}`range of 120 words from each class <frequency-matched sample>`, sorted by frequency and
# chosen so that their mean frequencies agree.
#
# ## What the runs here give

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-classes", "caption": "$\\rho_\\leftarrow(\\bar h^2)$ within open and closed classes, and within samples of each matched in frequency (dotted); raw frequency (Figure 4 of the paper). In the reference runs the line of the closed classes dips after the first epoch and then rises to the end; that of the open classes is highest in the second and third epoch and falls to zero. The matched samples end near zero, both of them. Bands: 95 % intervals over words."}, "image": {"alt": "Line chart: correlation within open classes, closed classes and the two matched samples, over epochs.", "classes": "dark-light"}}
axes = page.beside(figures.class_correlations, "classes", cuts=True)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-classes-log", "caption": "The same on log frequency. The open classes rise later than the closed ones and higher, to a peak in the fourth epoch, and fall for the rest of training; the closed classes recover from the eighth epoch on and end above them."}, "image": {"alt": "Line chart: correlation on log frequency within open classes, closed classes and the two matched samples, over epochs.", "classes": "dark-light"}}
axes = page.beside(
    figures.class_correlations, "classes", cuts=True, method="pearson_log"
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# These are all words, and most of them have been met a few hundred times. Over W, the words seen at least 3,000 times in
# training, the picture is different:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-classes-w", "caption": "$\\rho_\\leftarrow(\\bar h^2)$ within the closed and the open classes of W, on log frequency (solid) and raw frequency (dashed). All lines fall after the first epoch. The closed classes soon recover. The open classes are below zero from the fourth epoch to the end, lowest in the seventh, and after that only become less negative. Bands: 95 % intervals over words; thin lines: single seeds."}, "image": {"alt": "Line chart: correlation within the closed and the open classes of the words seen at least 3,000 times, over epochs.", "classes": "dark-light"}}
own = page.own or page.main
if "scale" in own:  # tables of the first round lack it
    axes = figures.classes_over_w(own["scale"], own["epochs"])

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# The level is a separate question from the correlation. This is the mean concentration itself, over
# all words again and in the two matched samples:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-class-means", "caption": "Mean concentration $\\chi(\\bar h^2)$ of all words of either class, and of the samples matched in frequency. In the reference runs function words are ahead in the first epochs, but not in the matched samples (dotted), where content words are; in the second half of training the two lines of either style are no longer distinguishable. Bands: 95 % intervals over words."}, "image": {"alt": "Line chart: mean concentration of the upper gradient in open and closed classes and in the matched samples, over epochs.", "classes": "dark-light"}}
axes = page.beside(
    figures.class_correlations, "classes", column="chi", same_y=False
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# How an interval over words is made, here for the difference of the two means in the matched samples:
# draw as many words from each sample, with replacement, again and again.

# %%
import numpy as np

from sparsecore.report.pages.emergent import matched

sample = matched(page.main)
chi = {
    name: rows["chi_lstm2_gradient_target"].to_numpy()
    for name, rows in sample.groupby("word_class")
}
random = np.random.default_rng(0)
drawn = {
    name: random.choice(values, (2000, len(values))).mean(1)
    for name, values in chi.items()
}
low, high = np.percentile(drawn["closed"] - drawn["open"], [2.5, 97.5])
difference = chi["closed"].mean() - chi["open"].mean()
f"closed minus open, thousandths: {1000 * difference:.2f} [{1000 * low:.2f}, {1000 * high:.2f}]"

# %% [markdown]
# The table behind it holds the mean of $\chi$ over seeds, so this interval takes no account of how runs differ.

# %% [markdown]
# ## How sure are we?
#
# Finding 6 compares the gains in the second half of training, over W.
# Finding 7 compares the mean concentration of the two classes at the last epoch: over words that occur more
# than 1,000 times in the text, and over W at equal log frequency; the matched samples are a side part; the difference over all words is shown but does not count. See [all parts of the rules](../../book/emergent/verdicts.md).

# %% tags=["remove-input"]
verdicts(page, 6, 7)

# %% [markdown]
# Two cautions. A correlation over 120 words has an interval of almost ±0.2, so the dotted lines
# wobble. And samples with equal *mean* frequency need not be alike: one very frequent function
# word counts for as much as many content words. [The next page](emergent_words.ipynb) compares the
# classes at equal log frequency, word by word.
#
# ## What to try next
#
# - Another tagger, if a spaCy pipeline is installed:
#   `sparsecore run emergent --preset quick --tagger en_core_web_sm`.
# - A stricter majority: `--class-threshold 50` leaves only words with a clear class.
