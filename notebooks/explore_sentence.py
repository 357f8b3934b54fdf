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
# # Read your own sentence
#
# Type any sentence. A language model on this page reads it word by word: how {term}`concentrated <chi>` is each layer's
# activation where a word is read, and the {term}`upward gradient` where the next one is to be predicted? Compare with an
# untrained network, or with one that Adam trained, and press a word to see the units behind its column.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
reference = "enwiki"  # whose networks read
corpus = None  # a text to train a network of your own on instead: a name or a path
epochs = None  # passes over it; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
sentences = [
    "The king of the small island was born in the city and died during the war.",
    "It is one of the most important books of the century.",
    "He was the first member of the band to live in New York.",
]  # any text of yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.pages.sentences import about_networks, open_networks

networks = open_networks(preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device)
about_networks(networks)

# %%
from sparsecore.report.explorers import SentenceExplorer

explorer = SentenceExplorer(**networks.readable, samples=sentences)
explorer

# %% [markdown]
# ## What to look for
#
# - **Follow the gradient of the upper LSTM from left to right.** Does it stand out where a common word such as *the* is to be
#   predicted? The line below the table gives ρ over the words of your sentence.
# - **Switch to the untrained network.** What is already there before training has not been learned. Tick *minus untrained* to see
#   the rest. The weights of the untrained network are random ones, drawn as those of the trained network were at its start.
# - **Switch to the network that Adam trained.** It had the same first weights and the same text, and is fetched when you
#   ask for it. Follow the gradient over common and rare words once more: which words stand out now?
#   [What makes a gradient sparse?](../../book/causes/index.md) has the measurement over many words and runs.
# - **Compare with surprisal.** Where the network is hardly surprised its gradient is small, but not therefore
#   concentrated: $\chi$ does not see the length of a vector.
# - **Press a word.** Do a few units make $\chi$ large, or is the whole vector uneven?
# - **Change one word** and see how far to the right the change reaches.
#
# The gradient is the closed form $W^\top(p - 1_y)$, where $W$ holds the output rows, $p$ is the prediction and $1_y$ the word
# that comes: all that reaches the upper LSTM from above. Colours are scaled within a row, because values of different layers
# [cannot be compared](methods_concentration.ipynb). One sentence has few words, so its ρ jumps about.
#
# `python tools/explorer_models.py sentence --corpus FOLDER` makes the networks of this page again. With a text of your own
# (`papermill … -p corpus text.txt`) the page trains a network on it and reads with that one.
