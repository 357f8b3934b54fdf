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
# # Explore the masks
#
# Which weights of a predefined-sparse layer exist at all? Choose sizes and see: what is filled is trained; everything else is
# zero from the start and never stored.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained here: all show the same

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report.explorers import MaskExplorer

explorer = MaskExplorer()
explorer

# %% [markdown]
# ## What to look for
#
# - **More blocks, fewer weights between units.** With N blocks only 1/N of the hidden-to-hidden
#   weights are left, whatever γ is. Set N to 1 and you have the dense layer.
# - **γ decides how much of the input each block sees.** At γ = 1 all blocks read everything, which is
#   what {cite:t}`demeester2018` recommend. At γ = 1/N the blocks share nothing: N separate networks.
# - **A dense layer with as many parameters is narrower.** The table says by how much, for a layer with
#   the same inputs. In the paper's language model the dense inputs are narrower too: its middle layer
#   is 1,725 wide on both sides where the dense one is 1,150.
# - **In an embedding rare words have short vectors.** At δ = 0.2 most words of the tagger's vocabulary have a
#   handful of dimensions. The full 20 belong to the 192 most frequent ones.
#
# In a live notebook the fields are traits: `explorer.N = 5` redraws, and `explorer.gamma` reads what
# you chose. The line of code below each picture makes the layer that it shows.
