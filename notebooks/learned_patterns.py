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
# # What do the automata look for?
#
# :::{admonition} What we found
# :class: found
# - In our first study, whose reviews had no titles, the smallest models keep {result}`sentiment/reviews runs.transitions goal=8.0 %.0f` of 96
#   transitions, in {result}`sentiment/reviews runs.wfsas goal=8.0 %.1f` automata on average. They are few enough to read. In
#   the one model that we read, we can interpret one automaton of three.
# - They get {result}`sentiment/reviews runs.test_accuracy goal=8.0 %.0f` % of the test reviews right, where guessing gets
#   50 %; the larger regularised ones (goal: 40 transitions) get
#   {result}`sentiment/reviews runs.test_accuracy goal=40.0 %.0f` %.
# - Most phrases end near the end of a text: skipping words after a match costs, skipping words before it is free.
# :::
#
# A network with a handful of hidden units can be read as a whole, if its units can be read. Those
# of a {term}`rational RNN` can in principle: each is a small automaton (a {term}`WFSA`) that adds up how well
# the text matches a soft pattern. This page takes the smallest structure that the
# {term}`group lasso` left in our first study, whose reviews had no titles (hence lower accuracies than on
# the [page before](learned_tradeoff.ipynb)), and asks each of its automata what it has learned.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, amazon-reviews, a path; None: preset's
category = None  # one kind of product, or mix; None: the preset's
vectors = None  # embedded, glove-6b, a GloVe file, an encoder
goal = None  # transitions to be left; None: the preset's smallest
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "reviews"  # which committed study is read

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.pages.patterns import (
    about_reader,
    kept_automata,
    open_reader,
    phrase_rows,
)

reader = open_reader(
    preset,
    reference,
    corpus=corpus,
    category=category,
    vectors=vectors,
    goal=goal,
    seed=seed,
    device=device,
)
about_reader(reader)

# %% [markdown]
# ## What the paper found
#
# With a strong penalty {cite:t}`dodge2019` arrive at a model of three WFSAs that still gets 88 % of
# the reviews right, within about a point of larger ones. Their Table 1 shows for each of the three the
# phrases with the highest and the lowest score in the training documents: one looks for *not worth
# X* at the end of a review, one for *miserable* and *returned*, one for a collection of words.
#
# ## Before and after
#
# Each row is a WFSA of the structure that training began with, drawn if it keeps a state; each circle is a state, and its area
# the ℓ2 norm of the weights that lead into it. States with a norm below 0.1, and all those
# behind them, were removed.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-learned-states", "caption": "The automata before and after (Figure 1 of the paper): filled states are kept, hollow ones were removed. Most automata are removed whole (the last line counts them); of the others the first states stay longest."}, "image": {"alt": "Rows of circles joined by lines, one row per WFSA of which something is kept; some states are filled, the others are hollow and small.", "classes": "dark-light"}}
states, names = kept_automata(reader)
axes = figures.states_kept(reader.states, names)

# %% [markdown]
# The automata that still have a state: the arrow in front of a state takes a word, the loop above
# it skips one.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-learned-automata", "caption": "The automata that are left (Figure 2 of the paper): dotted states were taken out. An automaton can take one word for each solid state. The area of a disc is the norm of the state's weights; where it is small, the number of the state stands beside the circle."}, "image": {"alt": "A row of circles for each automaton, joined by arrows, with a loop above each circle; removed states are dotted.", "classes": "dark-light"}}
axes = figures.automata(states, names)

# %% [markdown]
# ## The phrases of each pattern
#
# A WFSA scores every way to pick words for its transitions, in order, and adds the scores up. Shown
# are the single paths with the highest and the lowest score, over all training documents. **Bold**:
# the word that a transition takes. Words in small print marked <sub>SL</sub> are skipped by a
# {term}`self-loop`, at a price; *…* stands for more than two of them. Scores can be negative, and
# what a score means is up to the linear classifier above: the bottom of a pattern says as much as
# its top.

# %% tags=["hide-input"]
phrase_rows(reader.patterns)

# %% [markdown]
# In the model of the reference runs one pattern of three can be read. Pattern 2 scores highest where *excellent book* ends a
# review, and lowest where a word such as *unreliable* or *careless* is followed, after some words, by the end of the review. Pattern 3 has some complaints
# at its top (*negligence*) and *great read* at its bottom, but also rare words that mean nothing here (*doomsdayer520*). In
# pattern 1 (*harpe*, *motorsports*, *wringer* against *evidence*, *potential*) we see no meaning at all. The extremes over
# all documents favour rare words, whose vectors may lie far out in the direction that a transition looks in.
#
# In code: the highest and the lowest score that a single path has in the last state of each pattern.

# %%
phrases = reader.patterns
last = phrases.groupby("wfsa")["state"].transform("max")
ends = phrases[(phrases["state"] == last) & (phrases["rank"] == 1)]
numbered = ends.assign(pattern=ends["wfsa"] + 1)
numbered.pivot(index="pattern", columns="end", values="score").round(2)

# %% [markdown]
# ## How sure are we?
#
# These are the phrases of one trained model. Whether as few as three automata lose little is finding 3 of the
# [page before](learned_tradeoff.ipynb). The paper shows meaningful phrases for its three patterns; most of
# ours are not meaningful. A pattern that looks like a list of words has probably learned a list of words.
#
# ## What to try next
#
# - A sentence of yours, word by word: [Read the automata](explore_automata.ipynb).
# - Another seed, another goal: they are parameters of this page.
# - Reviews: `sparsecore data fetch amazon-reviews`, `sparsecore data fetch glove-6b`, and
#   `preset = "small"`, `category = "books"`.
# - From Python: `sparsecore.pruning.patterns.phrases` gives the table from which this page is made.
