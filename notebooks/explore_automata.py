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
# This is a classifier of product reviews in which every unit is a small automaton ({term}`WFSA`), trained with a {term}`group
# lasso` over its states. Type a review: which words does each automaton take, which does it skip, and what does its score add to
# the decision? Then remove states with the slider, as pruning does, and watch the decision move.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
reference = "reviews"  # whose model is read
corpus = None  # to train one of your own on instead: embedded, amazon-reviews, a path
category = None  # one kind of product, or mix; None: the preset's
vectors = None  # embedded, glove-6b, a GloVe file; None: preset's
goal = None  # transitions to be left; None: the preset's smallest
seed = 0
device = "auto"  # auto | cpu | cuda
texts = [
    "I bought this coffee maker for my wife and at first it worked very well. After two weeks it stopped heating the "
    "water. I called the company and they would not give me my money back. Very disappointed, do not waste your money.",
    "A great little knife. It is easy to use, easy to clean and the price was right. I love it and highly recommend it.",
    "The first half of this book is wonderful, but the ending is boring and I was glad when it was over.",
    "I expected a cheap toy. I was wrong: the sound is excellent and it still works after a year.",
]  # any review of yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.pages.automata import open_automata

automata = open_automata(
    preset,
    reference,
    texts,
    corpus=corpus,
    category=category,
    vectors=vectors,
    goal=goal,
    seed=seed,
    device=device,
)
automata.about

# %%
from sparsecore.report.explorers import AutomataReader

explorer = AutomataReader(**automata.readable)
explorer

# %% [markdown]
# ## What to look for
#
# - **Drag the slider to the left end**: all states are back. The chart shows how the decision changes as they go, the weakest
#   first. For how long does nothing happen? The group lasso has already silenced those states.
# - **Read the phrases beside an automaton**: the ones in the training reviews that score highest in the last state it still has.
#   What does it look for once its last state is gone?
# - **Change one word.** The automata know words by their vectors, so a near-synonym often works as well. Does the word *not* matter?
# - **Look at the order.** Automata are sorted by the size of their contribution. Does one of them decide, or do they vote?
# - **What is the path?** An automaton adds up every way to match; the one shown contributes
#   most. [What do the automata look for?](learned_patterns.ipynb) has the best and worst phrases of a whole corpus.
#
# The weights are those before fine-tuning, so that every state is there to be removed.
#
# `python tools/explorer_models.py automata` trains the model of this page again. With a corpus of your own (`papermill … -p
# corpus reviews.tsv`, a file of `label<TAB>text` lines) the page trains a model on it and reads with that one.
