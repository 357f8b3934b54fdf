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
# # Your own text and geometry
#
# The explorers on the pages before this one work wherever they are read. Training a network of your own needs Python:
# `make lab` opens the notebooks in JupyterLab; run this one there, and each cell below becomes a panel with a button.
# `press()` presses it, so that this page can show the result, also as a picture drawn from the same run, for readers without Python.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # the panels train small models: all presets show the same
corpus = None  # the text that is given at first: embedded, a name or a path
max_tokens = 40_000  # words of it that are read at first
seed = 0
device = "auto"  # auto | cpu | cuda

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% [markdown]
# ## A text of your own
#
# Upload a text, or give the path of one. A small language model is trained on it while $\chi$ is recorded, which takes about a
# minute for 300,000 words; this page reads 40,000. The run is kept in the folder that the panel names.

# %%
from sparsecore.live import your_geometry, your_text

text = your_text(corpus or "embedded", max_tokens=max_tokens, seed=seed, device=device)
text.press()
text

# %% [markdown]
# After *Train* the panel says:

# %% tags=["remove-input"]
text.status.value

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-live-text", "caption": "What the run above measured: the mean concentration of the gradient that each word sends into the upper LSTM layer when it is to be predicted, against how often it occurs. A text of your own gives a picture like it, with its own words. On a text as short as this one few words are frequent, and the relation is loose."}, "image": {"alt": "Scatter chart: mean concentration of the gradient against frequency, one point per word, from the run of this page.", "classes": "dark-light"}}
from sparsecore.report import figures
from sparsecore.report.explorers import HoverPoints

axes = figures.chi_against_frequency(
    text.tables["words"], value="chi_lstm2_gradient_target"
)

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## A geometry of your own
#
# Choose the blocks, {term}`window` and width of a sparse LSTM; a dense one with as many parameters stands beside it. Both learn
# the same text in turn, step by step, and the curve grows as they do.

# %%
geometry = your_geometry(duration=10, seed=seed)
geometry.press()
geometry

# %% [markdown]
# After *Train* it says:

# %% tags=["remove-input"]
geometry.status.value

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-live-geometry", "caption": "The curve of that panel: perplexity on the text being learned, averaged over twenty steps. How far the two come in ten seconds depends on the machine."}, "image": {"alt": "Line chart: perplexity over steps of training, a line for the dense and one for the sparse model.", "classes": "dark-light"}}
axes = figures.perplexity_over_steps(geometry.tables["race"])

# %% tags=["remove-input"]
HoverPoints(axes)

# %% [markdown]
# ## What to try next
#
# - A text that you know well, with *Epochs* at 10: which words rise above the others?
# - *Window γ* at 1: each block reads all inputs, and the dense model grows to match.
# - The same as a command, with tables that are kept: `sparsecore run emergent --preset quick --corpus FILE`.
