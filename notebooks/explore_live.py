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
# `press()` presses it, so that this page can show the result.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # the panels train small models: all presets show the same
corpus = None  # the text that is given at first: embedded, a name or a path
max_tokens = 80_000  # words of it that are read at first
seed = 0
device = "auto"  # auto | cpu | cuda

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% [markdown]
# ## A text of your own
#
# Upload a text, or give the path of one. A small language model is trained on it while $\chi$ is recorded, which takes about a
# minute for 300,000 words; this page reads 80,000. The run is kept in the folder that the panel names.

# %%
from sparsecore.live import your_geometry, your_text

text = your_text(corpus or "embedded", max_tokens=max_tokens, seed=seed, device=device)
text.press()
text

# %% [markdown]
# ## A geometry of your own
#
# Choose the blocks, {term}`window` and width of a sparse LSTM; a dense one with as many parameters stands beside it. Both learn
# the same text in turn, step by step, and the curve grows as they do.

# %%
geometry = your_geometry(duration=10, seed=seed)
geometry.press()
geometry
