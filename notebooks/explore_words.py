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
# Every word of a run, against how often it occurs in the text: how {term}`concentrated <chi>` are the network's signals for it?
# Point at a word to see its name, play through the epochs, and drag across the chart to choose a range of frequency: the
# correlation ρ over its words stands below. Every number was measured in the training step itself.

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
# - **Play.** The signal shown first, the gradient of the upper LSTM by target word, is that of the paper's headline finding. Watch
#   whether frequent words rise above rare ones, and for how long.
# - **Choose the commonest words alone**, some thousand occurrences and more, and then the rare ones. Is it one relation, or does
#   it change its sign on the way? [Exposure](emergent_exposure.ipynb) asks this with rules fixed in advance.
# - **The same words as inputs**: choose an activation *by input word*. Is the lower layer or the
#   embedding the more concentrated for *the* and *of*?
# - **Function words against content words** of the same frequency: show the matched samples. How far apart are
#   their means, beside the spread of the points?
# - **How little it is.** The scale on the right of the second chart translates $\chi$ into
#   {term}`effective units`. Few signals are sparse in the sense that most units are idle.
#
# The ρ above the chart is the chapter's: the mean over seeds of the correlation over all words, and the widest ends of their intervals. The one
# below is over the points that are drawn, whose $\chi$ is a mean over seeds first.
#
# Run with a text or a preset of your own (`papermill … -p corpus text.txt`), the page shows that run in place of the reference runs. In a
# live notebook `explorer.words = ["the", "model"]` shows other words, and `explorer.low, explorer.high = 1000, 50000` chooses a range.
