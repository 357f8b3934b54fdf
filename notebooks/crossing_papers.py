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
# # Crossing the papers
#
# :::{admonition} What we found
# :class: found
# - A network in blocks has more concentrated *activations* than a dense one of the same width, by
#   {claim}`crossing-1` in $\chi$; its gradients are about as concentrated. It also has fewer weights, and predicts
#   better.
# - Training concentrates the vote of the automata without any penalty, by {claim}`crossing-3` in $\chi$: fewer of them
#   decide.
# - Training without a penalty also shows in part which states the group lasso would keep: a kept state has the larger norm with
#   probability {claim}`crossing-4`, where chance is a half, and the larger score with
#   {result}`crossing/ptb-reviews findings finding=4 part="AUC of the size of the state's score at the end of a text"`.
#   Position within an automaton may explain this; the two were not separated.
# :::
#
# Three papers, three meanings of *sparse*: numbers that happen to be near zero, weights that are zero
# by decree, states that training takes away. None of the papers considers the other two meanings. With all
# three in one library, we can ask:
#
# - Does a network with few connections show more {term}`concentrated <chi>` signals than a dense one?
# - How many automata take part in a decision, before anything has been pruned?
# - Does a network trained without a penalty already show which of its states the {term}`group
#   lasso` would remove?

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # of the language models; None: embedded
reviews = None  # embedded, amazon-reviews, a path; None: preset's
vectors = None  # embedded, glove-6b, a GloVe file; None: preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "ptb-reviews"  # committed tables to stand beside yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.pages.crossing import (
    about,
    blocks_table,
    open_page,
    votes_table,
)
from sparsecore.report.pages.verdicts import verdicts

page = open_page(
    preset,
    reference,
    seed=seed,
    device=device,
    language={"corpus": corpus},
    reviews={"corpus": reviews, "vectors": vectors},
)
about(page)

# %% [markdown]
# ## By nature, within what is sparse by design
#
# An LSTM cut into blocks that do not talk to each other ({doc}`predefined_masks`) has as many hidden
# units as before, so that $\chi$ can be compared: its floor $1/\sqrt{D}$ depends on the width alone.
# The measure is the first paper's, taken in the training step of the same language model; only the
# number of blocks changes: two layers of 100 units each, which all read every output of the layer below.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-crossing-blocks", "caption": "Mean χ of the upper LSTM over training, by number of blocks: of its activation (dashed) and of its gradient (solid). The dashed lines end far apart, the more blocks the higher, and the solid ones close together. Bands: from the least to the greatest of the seeds."}, "image": {"alt": "Line chart: mean chi over epochs, two lines for each number of blocks.", "classes": "dark-light"}}
axes = page.beside(figures.chi_by_blocks, "concentration", same_y=False)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"]
blocks_table(page)

# %% [markdown]
# Blocks also lower the perplexity of this small model, which is trained for a few passes only. Among so few different words
# any perplexity is low: these cannot be compared with those of {doc}`predefined_language`, whose text, though shorter, keeps
# all its words. How many weights do the blocks leave
# in its two LSTM layers?

# %%
import sparsecore as sc

{
    blocks: sum(
        weight.numel()
        for weight in sc.SparseLSTM(
            100, 100, num_layers=2, num_blocks=blocks
        ).parameters()
    )
    for blocks in sorted(page.main["concentration"]["num_blocks"].unique().tolist())
}

# %% [markdown]
# $\rho$ is the correlation of the gradient's $\chi$ with the log frequency of the word to be predicted. (The first paper, whose main
# statistic this is, takes raw frequency.)
#
# ## By nature, within what was learned
#
# Each automaton of a {term}`rational RNN` adds its score, times a weight, to the decision. The $\chi$
# of these parts says how many of them decide: $1/\chi^2$ {term}`effective units`. It is measured on the
# documents of the development set.

# %% tags=["hide-input"]
votes_table(page)

# %% [markdown]
# In code: first what the measure says of five automata of which two decide, then the result of this section, $\chi$ of the vote
# after training minus before, averaged over the kinds of reviews, with Student's interval over seeds.

# %%
import torch

from sparsecore.stats.seeds import mean_interval

parts = torch.tensor([2.0, -1.5, 0.1, 0.1, 0.0])  # what each adds for one document
chi = page.main["votes"].pivot_table("chi", "seed", "model")
difference = mean_interval((chi["trained"] - chi["untrained"]).tolist())
(
    f"{sc.effective_units(parts).item():.1f} of 5 decide",
    "{:.3f} [{:.3f}, {:.3f}]".format(*difference),
)

# %% [markdown]
# ## Does training alone show what the penalty would keep?
#
# The same initial weights are trained twice: once without a penalty, once with the group lasso, which
# removes most states. If natural sparsity is a preview of learned sparsity, states that the lasso
# keeps should stand out in the network trained without it: by the norm of their weights, or by the
# size of their scores. The AUC is the probability that a kept state ranks above a removed one.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-crossing-survival", "caption": "How well a network trained without a penalty shows which states the group lasso will keep, for several goals (the number of transitions that the lasso was to leave). Norms lie a little above chance (dashed), scores clearly above it. Small marks: single models; large ones: means."}, "image": {"alt": "Point chart: AUC by number of transitions left, two series, with a line at one half.", "classes": "dark-light"}}
axes = page.beside(figures.survival, "survival", same_y=True)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## How sure are we?
#
# There are four findings of our own. Their statistics and bounds were written down before the runs were looked at; that every part is
# essential was [written down after them](../../book/registrations.md). A part is true if its whole 95 % interval over seeds
# is on the claimed side. The table of the findings is on the [front
# page](../../book/index.md).

# %% tags=["remove-input"]
verdicts(page, 1, 2, 3, 4)

# %% [markdown]
# What this cannot tell: a network in blocks also has fewer weights and a lower perplexity, so that concentration, size and
# fit change together. And the position of a state within its automaton was not held fixed. It favours the first states,
# in norms and in pruning alike, because a state is only kept with all those before it.
#
# ## What to try next
#
# - More blocks, or the window that each sees: `sparsecore run emergent --num-blocks 10 --gamma 0.5`.
# - Another text: the parameter `corpus`. Other reviews: `reviews` and `vectors`.
# - The functions behind the tables: `sparsecore.experiments.crossing.tables`.
