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
# # One automaton by hand
#
# Each hidden unit of a {term}`rational RNN` is a small machine that reads a text from left to right. This
# page builds one without any training, for the pattern *not … good*, and watches it at work. Once
# you have seen one, you know how they all work; what a trained one means is another matter.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained here: all show the same
sentence = "the soup was not at all good but it was cheap"  # in lower case
stay = 0.9  # weight of a self-loop, between 0 and 1

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% [markdown]
# ## The machine
#
# It is a {term}`WFSA`, a weighted finite-state automaton: three states in a row. At every word it may
# move on one state, along the {term}`main path`, or stay where it is, by a {term}`self-loop`. Each
# has a *weight*, which depends on the word, and the value of a path through the states is the product of
# the weights along it.
#
# The first transition is made for *not*: its weight is 1 for this word, and 0 for all others. The
# second is made for *good*. Waiting costs a tenth at every word, except at *but*, which ends the
# thought: there it costs nearly everything. Waiting in state 0 is free, so a pattern can begin anywhere.
#
# In the layer's terms, for a word vector $x$,
#
# $$f = \sigma(x \cdot v + b), \qquad u = (x \cdot w)\,(1 - f),$$
#
# where $f$ is the weight of the self-loop and $u$ that of the main path, and $w$, $v$, $b$ are the
# parameters of the state that is entered. Here a word vector has a one for its word and zeros
# elsewhere, so $w$ and $v$ list the words; the helper `automaton` takes $u$ and divides it by $1 - f$.

# %%
from sparsecore.pruning.describe import automaton, one_hot, reading, states_of

vocabulary = ["not", "good", "bad", "but"]
rnn = automaton(
    vocabulary,
    main=[{"not": 1.0}, {"good": 1.0}],
    loop=[{"but": -4.0}, {"but": -4.0}],
    stay=stay,
)

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-automaton", "caption": "The automaton: states in a row, the main path from left to right, self-loops above. At each arrow stands the word that it takes, with weight 1 (all others have 0), above each self-loop its weight, and in brackets the one at *but*. Nothing is drawn above state 0, where waiting is free. Like Figure 2 of the paper, with two transitions instead of four."}, "image": {"alt": "Three circles in a row, numbered 0 to 2, joined by arrows; arcs return to circles 1 and 2.", "classes": "dark-light"}}
from sparsecore.report import figures

at_but = (rnn.bias + rnn.loop[:, vocabulary.index("but")]).sigmoid()[0].item()
axes = figures.automata(
    states_of(rnn),
    labels={0: "not … good"},
    arrows={(0, 1): "not", (0, 2): "good"},
    loops=dict.fromkeys([(0, 1), (0, 2)], f"{stay:g} (but: {at_but:.2f})"),
)

# %% [markdown]
# ## A sentence
#
# What does a state hold after some words? The sum of the values of all paths that lead there.
# It can be computed word by word, because a path into state $i$ comes either from state
# $i$ or from the one before it:
#
# $$c^i_t = f\,c^i_{t-1} + u\,c^{i-1}_{t-1}, \qquad c^0 = 1.$$
#
# This is all that the layer computes. The unit's output, its *score*, is $c^1 + c^2$.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-reading", "caption": "What each state holds after each word (numbers, and the size of the rectangles), and the path with the largest value: dots are words that the main path takes, flat stretches are self-loops."}, "image": {"alt": "A grid of words by states. A line starts at the bottom, climbs to state 1 at the word not, to state 2 at the word good, and stays there while the rectangles shrink.", "classes": "dark-light"}}
words = sentence.split()
x = one_hot(words, vocabulary)
axes = figures.path_through_sentence(reading(rnn, x, words))

# %% [markdown]
# State 1 fills at *not* and leaks a tenth with every word. At *good* what is left of it is passed on as well, and
# *not at all good* scores four fifths of what *not good* does: that is what makes the pattern soft. After
# *but* a seventh is left.
#
# Two properties of trained automata can be seen already.
#
# - **They prefer the end of a text.** Waiting before the match is free; waiting after it costs. The
#   paper finds patterns that look for the last words of reviews. `last_loop_one=True` makes the
#   waiting in the last state free as well, as its footnote 12 proposes.
# - **A word that is not in the pattern is not forbidden**, only paid for.
#
# ## The best path, and why it is not so easy to find
#
# To read an automaton one looks for the phrases that it scores highest, and for this the single best
# path through each text. `sc.best_paths` finds it for every state:

# %%
import sparsecore as sc

score, steps = sc.best_paths(rnn, x)
[
    (round(best.item(), 3), [words[t] for t in path if t >= 0])
    for best, path in zip(score[0], steps[0], strict=True)
]

# %% [markdown]
# A main-path weight can be negative: *bad* might count as the opposite of *good*. Then two wrongs
# make a right. The best path into state 2 may go through the *worst* path into state 1, because
# minus times minus is plus, and a search that keeps nothing but the best path into each state
# loses it. Below, *bad* has weight −1 for both transitions:

# %%
both = automaton(
    vocabulary,
    main=[{"not": 0.5, "bad": -1.0}, {"good": 0.5, "bad": -1.0}],
    stay=stay,
)
text = "not bad bad good".split()
score, steps = sc.best_paths(both, one_hot(text, vocabulary))
round(score[0, 1].item(), 3), [text[t] for t in steps[0, 1].tolist()]

# %% [markdown]
# *bad bad* is worth $(-1)\cdot(-1)$, times the weight of waiting at *good*, and beats *not … good* with
# $0.5 \cdot 0.5$ and two words of waiting. The search here keeps the paths with the largest and the smallest value into each state, which is
# exact. The paper's results do not depend on it; its published phrases may.
#
# ## What the penalty does
#
# Training starts with more states than are needed. The {term}`group lasso` adds to the loss, for each
# state, the length of the vector of all its weights, $\lVert (w, v, b) \rVert_2$. Unlike the
# square that is used elsewhere, a length pulls with the same force however short it has become, so
# states that do not reduce the loss by more than they cost end near zero as a whole. Then they can be
# taken out.
#
# Here is a layer of three automata of which some states have been made small by hand; `sc.compact`
# takes out what is below 0.1, and everything behind it, since it can no longer be reached. Shown are
# the lengths and the penalty before and after.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-pruned", "caption": "Before and after in one: dotted states are removed, with those behind them. Like Figure 1 of the paper."}, "image": {"alt": "Three rows of circles. In each the first circles are filled and solid, the later ones dotted and empty.", "classes": "dark-light"}}
import torch

torch.manual_seed(0)
layer = sc.RationalRNN(len(vocabulary), [4, 4, 3])
with torch.no_grad():
    for state in (2, 3, 7, 8, 9, 10):
        for parameter in (layer.main, layer.loop, layer.bias):
            parameter[state] *= 0.01
axes = figures.automata(states_of(layer))

# %%
import pandas as pd

small = sc.compact(layer)
rows = [
    [each.lengths, round(sc.group_lasso(each).item(), 2)] for each in (layer, small)
]
pd.DataFrame(rows, index=["before", "after"], columns=["lengths", "penalty"])

# %% [markdown]
# ## What to try next
#
# - Another sentence: `make book ARGS="-p sentence 'not good and not bad'"`.
# - Let self-loops be cheap, `-p stay 0.99`, or nearly forbid them, `-p stay 0.1`.
# - Automata that were trained: [What do the automata look for?](learned_patterns.ipynb)
