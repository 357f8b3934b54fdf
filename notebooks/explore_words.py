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
# Each point is a word of the training text: how often does it occur, and how {term}`concentrated <chi>` are the network's signals
# for it? Punctuation marks count as words; the full stop ends as the highest point of all. Point at a word to see its name, play through the epochs, and drag across the chart to choose a range of frequency;
# the correlation ρ within that range is given below. Every number was measured during training itself.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # quick | small | paper
corpus = None  # embedded, a name or a path; None: the preset's
epochs = None  # passes over the text; None: the preset's
seed = 0
device = "auto"  # auto | cpu | cuda
reference = "wikitext-2-lr20"  # which committed runs come first

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.explorers import ChiExplorer
from sparsecore.report.pages.emergent import explored, open_page, trajectories

page = open_page(preset, reference, corpus=corpus, epochs=epochs, seed=seed, device=device)
explored(page)

# %% tags=["hide-input"]
explorer = ChiExplorer(**trajectories(page), words=["the", "of", "in", "time"])
explorer

# %% [markdown]
# ## What to look for
#
# - **Play.** The signal shown first, the gradient of the upper LSTM by target word, is that of the paper's headline finding. Watch
#   whether frequent words rise above rare ones, and for how long.
# - **Choose only the commonest words**, say those with a thousand occurrences or more, and then the rare ones. Is it the same
#   relation, or does its sign change? [Exposure](emergent_exposure.ipynb) asks this with rules fixed in advance.
# - **The same words as inputs**: choose an activation *by input word*. Is the lower layer or the
#   embedding the more concentrated for *the* and *of*?
# - **Function words against content words** of the same frequency: show the matched samples. How far apart are
#   their means, beside the spread of the points?
# - **See how small it is.** The scale on the right of the second chart translates $\chi$ into
#   {term}`effective units`. Few signals are sparse in the sense that most units are idle.
#
# The ρ above the chart is the chapter's: the correlation over all words, averaged over seeds, with an interval over seeds and
# words. The one below is taken over the words drawn, each of which is an average over seeds, and it is a little higher for that
# reason. For signals other than the first only the frequent words are drawn in the epochs before the last, and ρ over them may be far
# from that over all words.
#
# Run with a text or a preset of your own (`papermill … -p corpus text.txt`), the page shows that run in place of the reference
# runs. In a live notebook `explorer.words = ["the", "model"]` shows other words, and `explorer.low, explorer.high = 1000, 50000` chooses a range.
