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
# # Wider layers, same number of parameters
#
# :::{admonition} What we found
# :class: found
# - Without fine-tuning the paper has the sparse model ahead, by 0.015 nats per word. Here the dense one is: dense minus sparse is {claim}`language-1` over eight seeds
#   (test perplexity {over-seeds}`language/ptb-50k language/ptb-50k-2 runs.test_perplexity model=dense %.1f` dense, {over-seeds}`language/ptb-50k language/ptb-50k-2 runs.test_perplexity model=sparse %.1f` sparse). Fine-tuning, which reverses the order in the paper, does not change this.
# - After fine-tuning the dense model is ahead on the test text, as in the paper: sparse minus dense is {claim}`language-2` nats per word (the paper's
#   0.007; test perplexity {over-seeds}`language/ptb-50k language/ptb-50k-2 runs.test_perplexity_finetuned model=dense %.1f` and {over-seeds}`language/ptb-50k language/ptb-50k-2 runs.test_perplexity_finetuned model=sparse %.1f`). On the validation text no difference is established. Both models were still improving
#   when training ended: the last epoch is the best in all runs before fine-tuning, and in 14 of 16 after it.
# - Wide sparse layers overfit more, as the paper says: their gap between validation and training text is larger by {claim}`language-3` nats per word. That this happens especially in fine-tuning, as the paper says, is not established ({result}`language/ptb-50k-2 verdicts finding=3 part="what fine-tuning adds to the gap, sparse minus dense"`).
# :::
#
# A recurrent layer of an LSTM with $h$ units has about $4h^2$ weights between them, and most of a language model's
# parameters are there: 20 of 24 million in the paper's. Suppose each unit were connected with only some of the others.
# Then the layer could be wider and have no more parameters. Would the model be better? These runs try it at a small size:
#
# - **dense**: every unit sees all units of its layer, and all of the layer below;
# - **sparse**: the hidden layers are one and a half times as wide. Their units fall into groups. A
#   unit sees those of its own group, and a window of the layer below. What is missing is chosen
#   before training begins, so that both models have nearly the same number of parameters.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, ptb, a name or a path; None: preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "ptb-50k-2"  # which committed runs stand beside yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.pages.language import (
    about,
    gap_table,
    open_page,
    perplexity_sentence,
    perplexity_table,
)
from sparsecore.report.pages.verdicts import verdicts

page = open_page(
    preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device
)
about(page)

# %% [markdown]
# ## What the paper found
#
# {cite:t}`demeester2018` take the AWD-LSTM of {cite:t}`merity2018`, a strong language model of its
# time, and widen its hidden layers from 1,150 to 1,725 units. The middle layer becomes three LSTMs side
# by side, each of which sees 56 % of the layer below. Every other setting stays as it was tuned for
# the dense model. On the Penn Treebank the sparse model is then one point of {term}`perplexity`
# better. The AWD-LSTM has a second stage of training, the {term}`fine-tune step`; after that the
# dense model is ahead by a little. The sparse one, they report, *overfits* more strongly than the dense one, especially in
# the fine-tune step.
#
# ## What the runs here give
#
# Training has two stages. Within the first, after some epochs, the weights that are evaluated are no longer the
# current ones but their mean since then ({term}`averaged SGD`).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-language", "caption": "Validation perplexity (on a log scale) over the epochs of training. Open marks: current weights; filled marks: averaged ones. Inset: the later epochs alone. There the dense model is ahead, but by too little to be established against the differences between seeds. Bands: the range over the seeds."}, "image": {"alt": "Line chart: perplexity of the validation text over the epochs, one line for the dense and one for the sparse model, with a dashed line where fine-tuning begins.", "classes": "dark-light"}}
axes = page.beside(figures.perplexity_over_epochs, "curves", same_y=False)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# Table 1 of the paper, as a picture and in numbers. Each model is measured with the weights that were
# best on the validation text.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-language-test", "caption": "Test perplexity without and after fine-tuning (Table 1 of the paper). Lower is better: the dense model is lower both times. Bars: 95 % intervals of the mean over seeds, where there are three or more."}, "image": {"alt": "Point chart with error bars: test perplexity of the dense and the sparse model, without and after fine-tuning.", "classes": "dark-light"}}
axes = page.beside(figures.perplexities_compared, "perplexity", same_y=False)

# %% tags=["hide-input"]
perplexity_table(page)

# %% tags=["remove-input"]
perplexity_sentence(page)

# %% [markdown]
# In code, at the paper's size: the middle layer is cut into three LSTMs that each read a window of the
# layer below, and has as many weights as the dense one that is two thirds as wide.

# %%
from torch import nn

import sparsecore as sc

num_blocks, gamma = sc.matching_geometry(
    1725, 1725, reduce_in=2 / 3, reduce_out=2 / 3
)
wide = sc.SparseLSTM(1725, 1725, num_blocks, gamma)
dense = nn.LSTM(1150, 1150)
sizes = [sum(p.numel() for p in layer.parameters()) for layer in (wide, dense)]
num_blocks, round(gamma, 3), sizes

# %% [markdown]
# ## Does the sparse model overfit?
#
# The gap between training and validation text, both without dropout, says how much better a model is
# on what it has seen. It is larger for the sparse model, and grows with fine-tuning in both models:

# %% tags=["hide-input"]
gap_table(page)

# %% [markdown]
# ## How sure are we?
#
# There are three findings. A part is a difference between the two models in nats per word, with a 95 % interval
# over seeds. It is true if the whole interval is above 0 and false if it is below, however wide the interval. Only if the interval contains 0 do we ask whether it is narrow enough to have shown the paper's effect. That of finding 2
# could not have shown an effect as small as the paper's 0.007; the one that it shows is larger. A single seed decides nothing. See [all parts of
# the rules](../../book/predefined/verdicts.md).

# %% tags=["remove-input"]
verdicts(page, 1, 2, 3)

# %% [markdown]
# Only the preset `paper` is the paper's experiment. These runs keep its ratios of widths, its dropouts, penalties and learning rate, in models about a sixth
# as wide, on the first {result}`language/ptb-50k runs.train_tokens model=dense * 1e-3 %.0f` thousand words of its text: {result}`language/ptb-50k runs.parameters model=dense * 1e-6 %.2f` million parameters,
# so that a model can overfit. They see the text at most 70 times, not up to 1,000 (500, and as many of fine-tuning), and end before either model has converged; longer training might still change the order. In a first round models had fewer parameters than their text has words; no difference was
# seen, and by the rules nothing was tested. Perplexities cannot be compared with the paper's; the differences between the two kinds of models can. They are measured on one test
# text of {result}`language/ptb-50k runs.test_tokens model=dense %.0f` words: how much another text would change is not in the intervals.
#
# Three details differ from the released programs at any size. A step of averaged SGD uses the learning rate
# that belongs to the length of the current window, not to that of the one before, as PyTorch's `ASGD`
# does. Fine-tuning may stop from its sixth epoch on, not only after a hundred. The count of
# parameters, 24,221,600 for the dense and 23,822,900 for the sparse model, omits one constant
# output that the authors' model also has.
#
# ## What to try next
#
# - The text of the paper is licensed: `sparsecore data info ptb` says how to get it. Then
#   `sparsecore reproduce language-3 language-4 --yes`.
# - An open text: `sparsecore data fetch wikitext-2`, then add `--corpus wikitext-2`.
# - Full size on a GPU: `sparsecore run language --preset paper --hidden-size 1725 --stack
#   sparse_hidden --reduction 0.66666`.
# - Sparse layers that are no wider, with fewer parameters: `--stack sparse_hidden --reduction 0.5`.
