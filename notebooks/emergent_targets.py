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
# # Which signals follow the frequency of the target?
#
# :::{admonition} What we found
# :class: found
# - The gradient of the upper layer stands out, as in the paper: over all words of WikiText-2 its correlation with log frequency reaches
#   {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=3 %+.2f` in the third epoch, over those of Wikipedia {result}`emergent/enwiki-7m-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=1 %+.2f` in the first (on raw frequency {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson epoch=3 %+.2f` and {result}`emergent/enwiki-7m-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson epoch=1 %+.2f`). That of no other signal ever rises to 0.1.
# - Over all words it does not last: it ends at {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=last %+.2f` and, on Wikipedia, {result}`emergent/enwiki-7m-lr20 correlations.rho layer=lstm2 signal=gradient role=target value=chi method=pearson_log epoch=last %+.2f`. Over W, the words seen at least 3,000 times, it
#   comes back on WikiText-2 ([see the page on exposure](emergent_exposure.ipynb)), to {result}`emergent/wikitext-2-lr20 scale.value finding=1 method=pearson_log epoch=last %+.2f` on log and {result}`emergent/wikitext-2-lr20 scale.value finding=1 method=pearson epoch=last %+.2f` on raw frequency (finding 1: {verdict}`emergent-1`).
# - On WikiText-2 the softmax gradient and the activations of the upper layer hardly follow the target's frequency at the end
#   ({result}`emergent/wikitext-2-lr20 correlations.rho layer=softmax signal=gradient role=target value=chi method=pearson_log epoch=last %+.2f` and
#   {result}`emergent/wikitext-2-lr20 correlations.rho layer=lstm2 signal=activation role=target value=chi method=pearson_log epoch=last %+.2f`).
# :::
#
# Every layer of the network has an {term}`activation` and a {term}`gradient`. For each word, each
# of these has a mean {term}`chi` over all positions where that word is the
# {term}`target <target word>`. This page correlates it with how often the word occurs,
#
# $$\rho_\leftarrow(h) = \operatorname{corr}_w\bigl(\operatorname{mean}_{t:\,x_t=w}\chi(h_t),\ \operatorname{freq}(w)\bigr),$$
#
# for each layer and signal and every epoch.

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
    null_sentence,
    open_page,
    rho_sentence,
    verdicts,
)

page = open_page(
    preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device
)
named = [("lstm2", "gradient"), ("softmax", "gradient"), ("lstm2", "activation")]
about(page)

# %% [markdown]
# ## What the paper found
#
# In Figure 3a of {cite:t}`saphra2019` one line stands out: that of $\bar h^2$, the gradient
# passed from the softmax to the upper LSTM layer. Its correlation is strong and keeps rising. The
# activations of the same layer do not follow the frequency of the target, so concentrated
# gradients are not a mere echo of concentrated activations.
#
# ## What the runs here give
#
# Solid lines are gradients, dashed lines activations; colours tell the layers apart (the lower LSTM layer and the embedding are grey). Bands are 95 % intervals over words, thin lines single seeds, vertical dashed lines the cuts of the
# {term}`learning rate`. Epoch 0 is the network before any training: what is seen there
# is not due to learning.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-targets", "caption": "Correlation $\\rho_\\leftarrow$ between mean concentration and the frequency of the target word, raw frequency (Figure 3a of the paper). In the reference runs only the heavy line, the gradient of the upper layer, rises far: in the first two epochs, and again, after a fall, when the learning rate is first cut. All others stay near zero; the highest of them, the softmax gradient, ends below 0.1. Bands: 95 % intervals over words."}, "image": {"alt": "Line chart: correlation with target-word frequency over epochs, one line for each layer and signal, with bands.", "classes": "dark-light"}}
axes = page.beside(
    figures.correlations_over_epochs,
    "correlations",
    cuts=True,
    role="target",
    named=named,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["remove-input"]
over_words = (1, "ρ over all words at the last epoch")
rho_sentence(page, "At the last epoch, ρ←(h̄²) on raw frequency is", over_words)

# %% [markdown]
# In code, from the table of words that the reference runs left. Its $\chi$ is averaged over seeds, which leaves less noise, so the
# correlation is higher than the mean over single runs above; its interval is over words alone.

# %%
import sparsecore as sc

words = page.main["words"].rename(columns={"chi_lstm2_gradient_target": "chi"})
table = words[["word", "frequency", "chi"]].assign(signal="gradient", role="target")
rho = sc.frequency_correlation(
    table, methods=["pearson", "pearson_log", "spearman"], n_boot=200
)
rho[["method", "rho", "low", "high"]].round(2)

# %% [markdown]
# Raw frequency is a peculiar yardstick. The most frequent word may occur a thousand times as
# often as the median word, so that a few function words can determine the correlation.
# On the logarithm of frequency a few words weigh far less, if there are many others, as here:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-targets-log", "caption": "The same on log frequency. In the reference runs the heavy line is highest in the third epoch and falls from then on, to less than a third of its peak; it still ends above all others."}, "image": {"alt": "Line chart: correlation with the logarithm of target-word frequency over epochs, one line for each layer and signal.", "classes": "dark-light"}}
axes = page.beside(
    figures.correlations_over_epochs,
    "correlations",
    cuts=True,
    role="target",
    named=named,
    method="pearson_log",
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["remove-input"]
rho_sentence(
    page,
    "At the last epoch, ρ←(h̄²) on log frequency is",
    over_words,
    method="pearson_log",
)

# %% [markdown]
# ## Does it depend on the method?
#
# Frequent words are also short, and mostly function words. The partial correlations below take
# out what the word's class (open, closed, neither) or its length in letters explains. A finding
# that vanished there would be about grammar or spelling rather than exposure.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-methods", "caption": "$\\rho_\\leftarrow(\\bar h^2)$ at the last epoch by six methods, with 95 % intervals over words; a mark for each seed. In the reference runs all are positive and near one another; taking out class or length changes little. The intervals on raw frequency, which rests on few words, are by far the widest."}, "image": {"alt": "Dot chart: the same correlation by six methods, each with its interval.", "classes": "dark-light"}}
axes = page.beside(figures.methods_compared, "correlations")

# %% [markdown]
# And this is how much depends on a few words: Pearson's correlation on raw frequency over all words once the most
# frequent are left out. Where the line falls, the words just dropped had carried the correlation. The same over W, and in other
# epochs, is [on the page about exposure](emergent_exposure.ipynb).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-few-words", "caption": "Correlation on raw frequency over all words without the most frequent ones, at the last epoch. In the reference runs it falls steeply with the first three, touches zero once thirty are left out, and is above zero again without three hundred. Below each number: the share of the text that those words make up; thin lines: single seeds."}, "image": {"alt": "Line chart: correlation on raw frequency after leaving out the 1, 3, 10, 30, 100 and 300 most frequent words.", "classes": "dark-light"}}
axes = page.beside(figures.without_words, "influence")

# %% [markdown]
# ## How sure are we?
#
# Finding 1 asks whether $\rho_\leftarrow(\bar h^2)$ is positive and growing; finding 2 whether it
# is the only one that is strong (0.3 or more) and growing, and whether the activations of the
# upper layer stay uncorrelated with the frequency of the target. See [all parts of the
# rules](../../book/emergent/verdicts.md), with their values.

# %% tags=["remove-input"]
verdicts(page, 1, 2)

# %% tags=["remove-input"]
null_sentence(page)

# %% [markdown]
# With thousands of words nearly every correlation differs from 0 by more than chance. The rules
# therefore ask about size.
#
# ## What to try next
#
# - The same page at a quarter of the learning rate, where the figure looks more like the paper's: set `reference = "wikitext-2-lr5"`.
# - Does the size of the vocabulary matter? Lower the {term}`threshold` and see:
#   `sparsecore run emergent --preset quick --threshold 4`.
# - The other side of the {term}`dropout`, where gradients do not carry its zeros and their $\chi$ is
#   lower: `sparsecore run emergent --preset quick --dropout-side after`.
# - Your own model: [](../../book/use.md).
