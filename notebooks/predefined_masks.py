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
# # Where the zeros are
#
# A layer can be made sparse before training begins: one decides which weights exist. This page
# shows where {cite:t}`demeester2018` put them, and what is saved. Nothing is trained here; change
# the sizes and run it again.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained here: all show the same
input_size = 1725  # i, inputs of the recurrent layer
hidden_size = 1725  # h, its hidden units
num_blocks = 3  # N, how many blocks it is cut into
gamma = 0.555  # share of the inputs a block sees, 1/N to 1
num_words = 43_815  # V, words of the vocabulary
embedding_dim = 20  # k, dimensions of the longest word vectors
density = 0.25  # of the embedding, 1/k to 1

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.layers.masks import hidden_mask, input_mask
from sparsecore.report import figures
from sparsecore.report.pages.masks import (
    dense_stack,
    embedding_table,
    layer_sentence,
    layer_table,
    sparse_stack,
    stacks_sentence,
    staircases,
)

# %% [markdown]
# ## A recurrent layer
#
# At each step a recurrent layer multiplies what it remembers, $h$ numbers, by a matrix $W_{hh}$, and
# what it reads, $i$ numbers, by a matrix $W_{hi}$. (An LSTM has four of each, all of the same
# pattern.) Two decisions make them sparse:
#
# - The hidden units are cut into $N$ blocks, and a block remembers for itself: $W_{hh}$ is
#   {term}`block-diagonal`.
# - Each block sees a {term}`window` of the inputs, the share $\gamma$ of them. The windows move along
#   the inputs and overlap, so that every input is seen.
#
# The drawing is to scale; with the default sizes it is the middle layer of the paper's language
# model (its Figure 1).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-masks", "caption": "The weights of a predefined-sparse recurrent layer (Figure 1 of the paper). Left: from hidden unit to hidden unit, one square per block. Right: from input to hidden unit, one window per block."}, "image": {"alt": "Two matrices with the trainable entries filled: on the left squares along the diagonal, on the right wide bands, one below the other, that move to the right and overlap.", "classes": "dark-light"}}
axes = figures.recurrent_masks(
    hidden_mask(hidden_size, num_blocks),
    input_mask(input_size, hidden_size, num_blocks, gamma),
)

# %% tags=["remove-input"]
layer_table(input_size, hidden_size, num_blocks, gamma)

# %% tags=["remove-input"]
layer_sentence(input_size, hidden_size, num_blocks, gamma)

# %% [markdown]
# No zero is stored or multiplied: such a layer is the same as $N$ smaller dense layers side by side,
# each on its own window, with their outputs put one after the other. Large layers run about as fast as
# ordinary ones. `sc.SparseLSTM` does just that.
#
# In code: the same layer, built and counted; the entries that exist are those drawn above.

# %%
import sparsecore as sc

layer = sc.SparseLSTM(120, 90, num_blocks=3, gamma=0.5)
windows = sc.input_windows(120, 3, 0.5)  # which inputs each block reads
sizes = sc.block_sizes(90, 3)
expected = sum(
    4 * h * (h + (w.stop - w.start) + 2)
    for h, w in zip(sizes, windows, strict=True)
)
counted = sum(p.numel() for p in layer.parameters())
read = ", ".join(f"{w.start} to {w.stop - 1}" for w in windows)
f"{counted:,} parameters, {expected:,} expected; blocks read inputs {read}"

# %% [markdown]
# ## A stack of layers
#
# The paper's Figure 4: first a dense language model, then a sparse one that is twice as
# wide in the middle. Each box is a dense LSTM; the shaded area beneath it shows which part of the layer below it reads. Widths are to scale within each drawing.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-stack-dense", "caption": "The three dense layers of the smaller language model (Figure 4a of the paper)."}, "image": {"alt": "Three boxes one above the other, each with its input and output sizes and its number of parameters.", "classes": "dark-light"}}
axes = figures.stack(dense_stack())

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-stack-sparse", "caption": "The sparse layers with as many parameters (Figure 4b of the paper), of four, five and two components. They are twice as wide in the middle."}, "image": {"alt": "Three rows of boxes, four below, five in the middle, two on top, each with its sizes; overlapping shades show which inputs each box reads.", "classes": "dark-light"}}
axes = figures.stack(sparse_stack())

# %% tags=["remove-input"]
stacks_sentence()

# %% [markdown]
# ## An embedding
#
# The vectors of words are sparse in another way. All have the same length $k$, but a rare word keeps
# only its first numbers, and zeros follow. Sorted from the rarest word to the commonest, the weights
# are a staircase. The density $\delta_E$ is the part of the matrix that is stored, and the steps
# shrink by a constant ratio.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-staircases", "caption": "Embedding matrices of four densities (Figure 2 of the paper), one row per word, the rarest on top. The sparser the matrix, the fewer words have long vectors."}, "image": {"alt": "Four panels: the first is filled, in the others the filled part is a staircase that is ever narrower on top and reaches the full width only at the bottom.", "classes": "dark-light"}}
densities = sorted({1.0, 0.5, density, 0.1}, reverse=True)
axes = figures.embedding_masks(staircases(num_words, embedding_dim, densities))

# %% tags=["remove-input"]
embedding_table(num_words, embedding_dim, densities)

# %% [markdown]
# ## What to try next
#
# - The same in the browser, with fields to change: [Explore the masks](explore_masks.ipynb).
# - Isolated blocks, $\gamma = 1/N$: `make book ARGS="-p num_blocks 4 -p gamma 0.25"`. That needs the fewest parameters,
#   but no input of one block reaches the others.
# - What the paper recommends, blocks that all read everything: `-p gamma 1.0`.
# - In your own model, `sc.SparseLSTM(…)` in place of `nn.LSTM(…)`: [Use it on your
#   model](../../book/use.md).
