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
# # Split a word in two: is it frequency?
#
# :::{admonition} What we found
# :class: found
# - After 3,000 updates of SGD at a rate of 20 the frequent half of a word sends the *more* concentrated gradient, but only where it is measured in training
#   ({result}`causes/enwiki-3 slopes arm=sgd-20 measure=training kind=split update=last * 1000` thousandths of $\chi$ per nat); with Adam it sends
#   the *less* concentrated one ({result}`causes/enwiki-3 slopes arm=adam measure=training kind=split update=last * 1000`).
# - With SGD at 5, $\chi$ rises over whole words, by
#   {result}`causes/enwiki-3 slopes arm=sgd-5 measure="held out" kind=words update=last * 1000` thousandths per nat (held out), and within
#   split words no rise is seen ({result}`causes/enwiki-3 slopes arm=sgd-5 measure="held out" kind=split update=last * 1000`).
# - Under Adam the slope is positive at first in four of the five networks, falls in all five, and ends with different signs (held out).
# :::
#
# The numbers are those of the third round of runs, which repeats three arms (ways of training) of the second with new seeds, and decides findings 10 to 12. The second has all arms, and decides findings 1 to 9; figures that compare more than these three arms show the second round only.
#
# Early in training frequent words send more concentrated gradients into the upper layer of a language model
# than rare ones. But *the* differs from *barometer* in more than frequency. To find out what frequency does by
# itself, take one word and split it: at each of its occurrences a coin decides whether it is written
# as word A or as word B. A and B mean the same, belong to the same class and stand in the same contexts.
# With a coin that falls on A nineteen times in twenty they differ in one thing: how often they occur.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, a name or a path; None: the preset's
num_updates = None  # None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "enwiki-2"  # which committed runs stand beside yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints
from sparsecore.report.figures.causes import ON_SCALE
from sparsecore.report.pages.causes import (
    about,
    arms_table,
    carriers_table,
    every_arm,
    having,
    open_page,
    progress,
    right_of,
)
from sparsecore.report.pages.verdicts import verdicts

page = open_page(
    preset,
    reference,
    corpus=corpus,
    num_updates=num_updates,
    seed=seed,
    device=device,
)
about(page)

# %% [markdown]
# ## How it is computed, in ten lines
#
# A run leaves two tables: `types` says what each type (distinct word) is, `probe` how concentrated the gradient is that
# it sends down on held-out text, both halves of a split word being the target at the same positions.
# The lines below give the mean difference within a word, in
# thousandths of $\chi$, by how much more often its frequent half occurs. The run is one that your machine makes in a minute: SGD at 5, 64 units per layer, text from the
# installed packages, one seed. In so small a network the frequent half is ahead even at 5. In the reference runs, with 200 units on
# Wikipedia, it is not; we do not know why.

# %%
import math

run = page.first()
types, probe = run.table("types"), run.table("probe")
chi = probe[probe["update"] == probe["update"].max()].set_index("type")["chi"]

split = types[types["role"] == "frequent"]  # the commoner half; `twin` is the other
difference = (
    chi.reindex(split["type"]).to_numpy() - chi.reindex(split["twin"]).to_numpy()
)
ratio = split["dose"].map(math.exp).round().astype(int).rename("ratio")
by_ratio = split.assign(thousandths=1000 * difference).groupby(ratio)["thousandths"]
by_ratio.agg(["mean", "sem", "count"]).round(2)

# %% [markdown]
# ## With intervals, by dose
#
# These are three ways of training; the others are further down. At 1 : 1 the expected difference is zero by symmetry, which checks the
# code. Open markers compare different words: intact ones with others of which most occurrences, as inputs too,
# were replaced by `<unk>`, adjusted linearly for how frequent they were before. That makes a word rarer without a second word
# of its own that competes as a wrong guess; `<unk>` competes in its place. Held out, they are measured wherever they would naturally occur.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-dose", "caption": "By how much $\\chi$ of the upper gradient is larger, in training, for the frequent half of a split word than for its rare half (filled), and for an intact word than for one that was as frequent before it was thinned (open). At 1 : 1 the marks lie about zero; with SGD at 20 they rise from left to right, with Adam they fall, with SGD at 5 they stay near zero. Bars: 95 % intervals over seeds and words, where there are three seeds."}, "image": {"alt": "Line chart: difference in concentration in training at ratios 1 to 1, 4 to 1 and 19 to 1, for three ways of training.", "classes": "dark-light"}}
right = right_of(page, "enwiki-3")
axes = figures.beside(
    figures.dose_response,
    page.reference,
    table="doses",
    measure="training",
    **right,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-held", "caption": "The same on held-out text, where both halves are the target at the same positions. Adam's marks fall here too; those of SGD at 20 are too uncertain to tell."}, "image": {"alt": "Line chart: difference in concentration on held-out text at ratios 1 to 1, 4 to 1 and 19 to 1, for three ways of training.", "classes": "dark-light"}}
axes = figures.beside(figures.dose_response, page.reference, table="doses", **right)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## Over training
#
# The slope of the lines above, by arm. Bands are the range over the seeds, which is not a 95 % interval. Some arms have names that do not say everything: *normal output rows* begins with
# rows drawn from a normal distribution in place of a uniform one of the same variance; *targets shuffled* trains with the text's words in random order as its targets;
# *$\chi$ penalised* (or *rewarded*) adds $\chi$ of the gradient to the loss (or subtracts it); *frequent words first* is a curriculum, in which rare targets join the loss
# later; *a tenth of the text ten times* makes as many updates on repeated text.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-updates", "caption": "The split slope, $\\chi$ per nat of frequency on held-out text, by optimiser. With Adam it is positive at 500 updates and, with every seed, negative from 1,500 on; with SGD at 5 it stays near zero; with SGD at 20 the seeds come apart late. Bands: the range over the seeds."}, "image": {"alt": "Line chart: effect of frequency on concentration over updates, a line for each of three optimisers.", "classes": "dark-light"}}
rounds = every_arm(reference)
axes = figures.beside(
    figures.slopes_over_updates,
    rounds,
    table="replicates",
    arms=("sgd-20", "sgd-5", "adam"),
    **right,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-networks", "caption": "The same with Adam, by network. All but the GRU begin above zero, and all end lower than they began; the minGRU stays above zero, the LSTM and the GRU end below it. Bands: the range over the seeds."}, "image": {"alt": "Line chart: effect of frequency on concentration over updates, a line for each of five networks trained with Adam.", "classes": "dark-light"}}
networks = ("adam", "gru", "mingru", "transformer", "sparse")
axes = figures.beside(
    figures.slopes_over_updates,
    rounds,
    having(page.own, networks),
    "replicates",
    arms=networks,
    same_y=False,
    titles=page.titles,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-variants", "caption": "The same for variants of SGD at 5 (with momentum: at 0.5), each an LSTM, one panel per variant; grey and dashed in each: SGD at 5 itself. With normal output rows the slope stays at zero, as it does with the usual rows; with targets shuffled it grows from the start, and with momentum it grows more. Left out is the arm in which $\\chi$ is rewarded, whose slopes are far steeper (table below). Bands: the range over the seeds."}, "image": {"alt": "Six small line charts: effect of frequency on concentration over updates for each variant of SGD at 5, with SGD at 5 itself in grey.", "classes": "dark-light"}}
variants = (
    "normal-init",
    "shuffled",
    "momentum",
    "repeated",
    "penalty",
    "curriculum",
)
sides = {"reference runs": rounds, "your runs": having(page.own, variants)}
axes = figures.slopes_by_arm(sides, variants)

# %% [markdown]
# ## Every arm
#
# The networks other than the LSTM were trained with Adam and not with SGD: what they add is to be compared with the LSTM under Adam.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-arms", "caption": "The split slope after 3,000 updates, in training (filled) and on held-out text (open), for every arm that was run except the one in which $\\chi$ is rewarded, whose slopes are far steeper (table below). SGD at 20 keeps clear of zero in training only; the GRU and the minGRU held out only; the LSTM with Adam, SGD at 5 with targets shuffled and SGD with momentum by both measures. Bars: 95 % intervals over seeds and words."}, "image": {"alt": "Point chart: effect of frequency on concentration at the end of training by two measures, a row for each arm.", "classes": "dark-light"}}
axes = figures.beside(
    figures.slopes_compared,
    rounds,
    page.own,
    "slopes",
    arms=ON_SCALE,
    same_y=False,
    titles=page.titles,
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# The same in numbers, folded, with the slope over whole words of the same ranks. Slopes are in
# thousandths of $\chi$ per nat, after 3,000 updates, with 95 % intervals. Three arms have two rows each, because they were trained in
# both rounds, the second time from other random numbers (*new seeds*).

# %% tags=["hide-input", "hide-output"]
arms_table(page, reference, "enwiki-3", kinds=["split", "words"])

# %% [markdown]
# And the slopes over thinned words:

# %% tags=["hide-input", "hide-output"]
arms_table(page, reference, "enwiki-3", kinds=["thin"])

# %% [markdown]
# Slopes within words and over words need not go together: with Adam $\chi$ is level over whole words while it falls within them. SGD at 20
# differs between the two measures; {doc}`../../book/causes/verdicts` has the difference over the seeds of both rounds.
#
# ## At equal loss
#
# An arm that has learned less is not comparable with one that has learned more. So here are the
# slopes against how well a network predicts (this was not registered, and decides nothing):

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-loss", "caption": "The split slope in training against held-out loss. Compare the lines only at losses that both reach: where SGD at 20 ends, Adam is still positive or open; Adam falls below zero only at losses that SGD at 20 never reaches. Marks are joined in the order of training, which leads to the right as the loss falls; SGD at 20 turns back at its end. Bars: 95 % intervals over seeds and words."}, "image": {"alt": "Line chart: effect of frequency on concentration in training against held-out loss, a line for each of three optimisers.", "classes": "dark-light"}}
axes = figures.beside(
    figures.slopes_over_loss,
    progress(page.reference),
    table="progress",
    **{**right, "yours": progress(right["yours"])},
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-loss-held", "caption": "The same with the slope measured on held-out text. Here too Adam falls below zero only at losses that SGD at 20 never reaches, and SGD at 20 itself cannot be told from zero."}, "image": {"alt": "Line chart: effect of frequency on concentration on held-out text against held-out loss, a line for each of three optimisers.", "classes": "dark-light"}}
axes = figures.beside(
    figures.slopes_over_loss,
    progress(page.reference),
    table="progress",
    measure="held out",
    **{**right, "yours": progress(right["yours"])},
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## What $\chi$ correlates with
#
# Between the loss and the upper layer lies one matrix, the output rows $W$. The gradient that arrives is
#
# $$\bar h = q\,\Bigl(\sum_{j \ne y} r_j W_j - W_y\Bigr),$$
#
# with $q$ the probability given to wrong words and $r_j$ the share of it that word $j$ has. Scale does
# not matter to $\chi$, so only the rows and the shares do. At the same
# position the two halves of a word differ in their own row $W_y$, and a little in the shares, since each
# has the other among its wrong words. Over whole words one can leave out one or the other: *rows
# alone* gives every wrong word the share that it has in the text, *shares alone* puts the mean row in the
# place of the target's. The table below is of the second round.

# %%
import torch

import sparsecore as sc

decoder, h, y = torch.nn.Linear(200, 1000), torch.randn(200, requires_grad=True), 7
torch.nn.functional.cross_entropy(decoder(h)[None], torch.tensor([y])).backward()
p, W = decoder(h).softmax(-1).detach(), decoder.weight.detach()
r = p / (1 - p[y])
r[y] = 0.0
assert h.grad is not None
chi = {
    "backward": sc.chi(h.grad).item(),
    "closed form": sc.chi(r @ W - W[y]).item(),
}
", ".join(f"χ by {way}: {value:.4f}" for way, value in chi.items())

# %% tags=["hide-input"]
carriers_table(page)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-causes-acquisition", "caption": "Word acquisition with SGD at 5: the concentration of the gradient of held-out words against their mean surprisal, over training, by how often a word occurs in the training text. A line goes to the right as its words are learned. Words seen 300 times or more rise as they are learned, the commonest first and highest; those seen 100 to 299 times rise little, and those seen 30 to 99 times, hardly learned yet, move to and fro. Held-out text has no dropout, whose zeros make $\\chi$ larger in training: here normal random numbers would have 0.089."}, "image": {"alt": "Line chart: mean concentration against mean surprisal, a line for each band of frequency.", "classes": "dark-light"}}
axes = page.beside(figures.acquisition, "bands", arm="sgd-5", same_y=False)

# %% [markdown]
# ## How sure are we?
#
# The rules were written down before the runs ({doc}`../../book/registrations`); a table of all findings is
# in {doc}`../../book/causes/verdicts`. Each seed draws its own words,
# its own coin and its own initial weights; intervals allow for another training run and other words. With
# fewer than three seeds there is no interval and no verdict.

# %% tags=["remove-input"]
verdicts(page, *range(1, 13))

# %% [markdown]
# ## What to try next
#
# - Another arm: `sparsecore run causes --arm transformer`; all of them: `sparsecore sweep causes`.
# - Your own text: `sparsecore run causes --corpus FILE`.
# - Where the claim comes from: {doc}`emergent_exposure`.
