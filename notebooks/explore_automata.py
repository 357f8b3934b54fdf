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
# # Read the automata
#
# A classifier whose every unit is a small automaton ({term}`WFSA`), trained with a {term}`group
# lasso` over its states. Pick a text or type one, and see which words each automaton takes, which it
# skips, and what its score adds to the decision. Then take states away with the slider, as pruning
# does, and watch what the decision loses.

# %% tags=["parameters"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, amazon-reviews, a path; None: preset's
category = None  # one kind of product, or mix; None: the preset's
vectors = None  # embedded, glove-6b, a GloVe file; None: preset's
goal = None  # transitions to be left; None: the preset's smallest
seed = 0
device = "auto"  # auto | cpu | cuda

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.explorers import AutomataReader
from sparsecore.report.pages.automata import readable
from sparsecore.report.pages.sentiment import about_reader, open_reader

reader = open_reader(
    preset,
    corpus=corpus,
    category=category,
    vectors=vectors,
    goal=goal,
    seed=seed,
    device=device,
)
about_reader(reader)

# %% tags=["hide-input"]
explorer = AutomataReader(**readable(reader.trained))
explorer

# %% [markdown]
# ## What to look for
#
# - **Move the slider to the left end**: all states are back. How many of them took part in the
#   decision at all? Most norms are near zero, and the bar of the decision hardly moves until the slider meets
#   the first state that the group lasso spared. The dashed mark stays where it was with every state.
# - **Read the phrases beside an automaton**: those of the training texts that score highest in the last state it still has. What
#   does it look for when its last state is gone?
# - **Change one word.** A pattern that takes *returns* may not care for *return*; it knows words by
#   their vectors, so that near words often do as well.
# - **Look at the order.** The automata stand by the size of their part in the decision. Is it one
#   that decides, or a vote?
# - **What is the path?** An automaton adds up every way to match; shown is the one with the largest
#   part. [What do the automata look for?](learned_patterns.ipynb) shows the best and worst of a
#   whole corpus.
#
# The weights are those before fine-tuning, so that every state is there to be taken away; the
# fine-tuned model of the sentence above decides a little better. Words are carried in 16 bits,
# which changes scores in the fourth digit.
#
# A text of your own corpus: `corpus = "reviews.tsv"`, a file of `label<TAB>text` lines. In a live
# notebook `explorer.text = "…"` reads any text.
