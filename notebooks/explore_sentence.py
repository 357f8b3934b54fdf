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
# # A sentence under the lens
#
# One sentence, token by token: how {term}`concentrated <chi>` is each layer's activation where a word
# is read, and the gradient that comes back where the next word is to be predicted? Before training,
# after it, and what has changed.

# %% tags=["parameters"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, a name or a path; None: the preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
sentences = [
    "The name of the file is given as a string.",
    "If the value is not in the list, an error is raised.",
    "Returns the sum of the elements of the array.",
]  # any text of yours

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.explorers import SentenceLens
from sparsecore.report.pages.emergent import about_yours, open_page, under_the_lens

page = open_page(preset, corpus=corpus, epochs=epochs, seed=seed, device=device)
about_yours(page)

# %% tags=["hide-input"]
explorer = SentenceLens(under_the_lens(page, sentences))
explorer

# %% [markdown]
# ## What to look for
#
# - **Read a row from left to right.** Does the gradient of the upper LSTM stand out where a common
#   word such as *the* is to be predicted? The paper's headline finding says that it should, after
#   training.
# - **Compare with surprisal.** Where the network is hardly surprised, its gradient is small, but not
#   therefore concentrated: $\chi$ does not see the size of a vector.
# - **Choose the untrained network.** What is there already is not learned.
#
# Colours run within a row, because values of different layers do not compare: see [how concentration
# is measured](methods_concentration.ipynb). To put a text of your own under the lens:
# `SentenceLens(under_the_lens(page, ["any sentence"]))`, or
# `papermill … -y 'sentences: ["any sentence"]'`.
