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
# # How concentration is measured
#
# "Sparse" sounds like many zeros, but the signals of a network are hardly ever exactly zero. The question
# is rather how few of a vector's entries hold how much of it. This page draws the measure used
# throughout the first part, {term}`chi`, and its relatives.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained here: all show the same
widths = [20, 200, 1150]  # units a layer in the second figure

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% [markdown]
# ## Two norms
#
# $$\chi(v) = \frac{\lVert v\rVert_2}{\lVert v\rVert_1}$$
#
# is the ratio of the two commonest ways to say how large a vector is. On the axes, where one entry holds
# everything, the Euclidean circle and the taxicab diamond touch: both norms are equal, $\chi = 1$. On
# the diagonals the entries are equal, the diamond is furthest inside the circle, and $\chi$ is at its
# least. Only the direction counts: every ray from the centre has one colour.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-plane", "caption": "Chi of every vector of two entries. It is highest along the axes, where one entry holds everything and the circle (Euclidean norm 1) and the diamond (taxicab norm 1) touch, and lowest along the diagonals, where they are furthest apart. After the picture in §2 of the paper."}, "image": {"alt": "The plane coloured by chi: bright along both axes, dark along the diagonals; a circle and, inside it, a diamond that touches it on the axes.", "classes": "dark-light"}}
from sparsecore.report import figures

axes = figures.chi_in_the_plane()

# %% [markdown]
# ## What a value means
#
# If $n$ of the $D$ entries are equal and the others zero, $\chi = 1/\sqrt n$, whatever $D$ is. So
# $1/\chi^2$ can be read as a number of {term}`effective units`. It is the inverse Simpson index, with which ecologists count species,
# of the shares $|v_i|/\sum_j|v_j|$. $\chi$ cannot be below
# $1/\sqrt D$, the *floor* of a layer (the bars at the right end of the figure): 0.071 for 200 units. A vector of $D$ independent normal random
# numbers, which nobody would call sparse, has a $\chi$ somewhat above it, about $\sqrt{\pi/2D}$ (dots): 0.089 for 200 units, as
# concentrated as 127 equal ones. After a dropout of one in five, 160 of a gradient's 200
# entries are left, and the value is 0.099.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-part", "caption": "Chi of a vector that uses a part of its units equally, for layers of several widths: it falls as the part grows, and a wider layer lies lower. At the right end all are used: the bar is the least possible value, the dot that of independent normal numbers."}, "image": {"alt": "Line chart on two logarithmic axes: chi falls as the square root of the share of units used; one line per width.", "classes": "dark-light"}}
from sparsecore.measure.reference_values import part_table

axes = figures.chi_of_part(part_table(widths))

# %% [markdown]
# In code:

# %%
import pandas as pd
import torch

import sparsecore as sc

torch.manual_seed(0)
vectors = torch.zeros(3, 200)
vectors[0, 0] = 5.0  # one entry holds everything
vectors[1, :50] = 5.0  # a quarter of them, equally
vectors[2] = torch.randn(200)  # nobody would call this sparse
measures = {"χ": sc.chi, "effective units": sc.effective_units, "Hoyer": sc.hoyer}
pd.DataFrame(
    {name: f(vectors).tolist() for name, f in measures.items()},
    index=["one entry", "a quarter", "normal numbers"],
).round(3)

# %% [markdown]
# Three things follow.
#
# - Values of layers of different widths cannot be compared as they stand. Their floors differ.
#   {term}`Hoyer's measure` puts the floor at 0 and a single entry at 1 for every width.
# - A correlation of $\chi$ with something says nothing about how large $\chi$ is. The pages of this book
#   therefore show both.
# - A mean of $1/\chi^2$ is not $1/$ (mean of $\chi$)$^2$. All tables hold the mean of $\chi$ over the
#   places where a word occurs, as the paper defines it.
#
# ## Which gradient
#
# The gradient of a layer's output is not one thing either. In a recurrent network the output of one
# step is used twice: by the layer above at the same step, and by the layer itself at the next step.
#
# | `gradient=` | what flows back | used |
# |---|---|---|
# | `"upward"` | from the layers above alone | the paper's choice, and this book's |
# | `"total"` | the upward part, plus what comes back through the recurrence from all later steps | `sparsecore run emergent --gradient total` |
#
# And it can be taken before or after a {term}`dropout`, which puts zeros into it. [Sparsity by
# nature](../../book/emergent/index.md) says which choice the runs of this book make, and why.
#
# ## Try it
#
# `sc.chi`, `sc.effective_units` and `sc.hoyer` take any tensor, along any dimension, and can be
# differentiated: subtracted from a loss, $\chi$ makes a layer more concentrated on purpose.
