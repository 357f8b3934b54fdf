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
# # Explore chi, word by word
#
# Pick words, and see how {term}`concentrated <chi>` the network's signals are for them: over
# training on the left, against how often they occur on the right. Every number was measured in the
# training step itself.

# %% tags=["parameters"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, a name or a path; None: the preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "wikitext-2"  # which committed runs come first

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.explorers import ChiExplorer
from sparsecore.report.pages.emergent import explored, open_page, trajectories

page = open_page(preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device)
explored(page)

# %% tags=["hide-input"]
explorer = ChiExplorer(**trajectories(page), words=["the", "of", "in", "function"])
explorer

# %% [markdown]
# ## What to look for
#
# - **The gradient of the upper LSTM by target word** is the signal of the paper's headline finding:
#   move the epoch from 0 on, and watch whether frequent words rise above rare ones, and for how long.
# - **The same words as inputs**: choose an activation *by input word*. Is the lower layer or the
#   embedding the more concentrated for *the* and *of*?
# - **Function words against content words** of the same frequency: tick the samples matched in
#   frequency.
# - **How little it is.** The scale on the right of the left chart translates $\chi$ into
#   {term}`effective units`. Few signals are sparse in the sense that most units are idle.
#
# ## Your own run
#
# The same for the network that this page trained, from the parameters at its top.

# %% tags=["remove-input"]
explored(page, yours=True)

# %% tags=["hide-input"]
yours = ChiExplorer(**trajectories(page, yours=True), words=["the", "of", "in", "function"])
yours

# %% [markdown]
# In a live notebook `yours.words = ["the", "model"]` shows other words. To explore a text of your own,
# run the page with the parameter `corpus`.
