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
# Type any sentence. A language model in this page reads it word by word: how {term}`concentrated <chi>` is each layer's
# activation where a word is read, and the {term}`upward gradient` where the next one is to be predicted? Before training, after it, and what has
# changed. Press one of the words to be predicted to see the units behind its column and what the model expected.

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
from sparsecore.report.pages.emergent import about_yours, open_page
from sparsecore.report.pages.sentences import readable_network, rounding_sentence

page = open_page(preset, corpus=corpus, epochs=epochs, seed=seed, device=device)
about_yours(page)

# %% tags=["remove-input"]
rounding_sentence(page, sentences)

# %%
from sparsecore.report.explorers import SentenceExplorer

explorer = SentenceExplorer(**readable_network(page), samples=sentences)
explorer

# %% [markdown]
# ## What to look for
#
# - **Read a row from left to right.** Does the gradient of the upper LSTM stand out where a common word such as *the* is to be
#   predicted? The paper's headline finding says that it should, after training.
# - **Compare with surprisal.** Where the network is hardly surprised, its gradient is small, but not therefore concentrated:
#   $\chi$ does not see the size of a vector.
# - **Choose the untrained network.** What is there already is not learned. *Trained minus untrained* shows the rest, about zero.
# - **Look at the units of one word.** Is it a few of them that make $\chi$ large, or a general unevenness?
# - **Change one word** and see how far to the right the change reaches.
#
# The gradient is the closed form $W^\top(p - 1_y)$, with $W$ the output rows, $p$ what the model predicts and $1_y$ the word that comes:
# all that reaches the upper LSTM from above. Colours run within a row, because values of different layers do not compare: see [how
# concentration is measured](methods_concentration.ipynb). The model is small, and has read the documentation of Python
# packages; run the page with `corpus` for one that has read something else (`papermill … -p corpus text.txt`).
