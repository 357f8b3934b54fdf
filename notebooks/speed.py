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
# # How fast is it, and how does it grow?
#
# Here each hot path is timed alternately with the obvious alternative, in one process, on the same threads. A contestant
# that does not compute the same numbers as the reference implementation in double precision is not timed at all. The
# numbers on this page were measured on one machine; `sparsecore bench` measures yours.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained here: all show the same
results = "cpu-1thread"  # in benchmarks/results, or a path

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %% tags=["hide-input"]
from sparsecore.report import figures
from sparsecore.report.pages.speed import (
    about,
    absent_sentence,
    changes_sentence,
    extremes_sentence,
    growth_sentence,
    growth_table,
    history_table,
    noise_sentence,
    open_page,
    peers_table,
    where_measured,
)

page = open_page(results)
about(page)

# %% tags=["remove-input"]
absent_sentence(page)

# %% [markdown]
# In the charts the line is this library; what lies right of it is slower. Bars are quartiles over rounds.
#
# ## The language model, with all its statistics
#
# A training step of the language model with {math}`\chi` and ℓ1 of seven signals for every word,
# beside the same step without any statistics (*plain*), with hooks written by hand, and with the
# chunked loss of PyTorch.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-lm", "caption": "A training step of the language model: time relative to this library, which computes all statistics. All others are slower, the step without statistics among them. Key: V words, windows of T words, B of them at once, two layers of 200 units."}, "image": {"alt": "Dot chart on a logarithmic axis: the plain step, the step with statistics by hand and the chunked loss, relative to this library.", "classes": "dark-light"}}
axes = figures.beside_peers(page.suite("lm"))

# %% tags=["remove-input"]
extremes_sentence(page.suite("lm"))

# %% tags=["remove-input"]
peers_table(page.suite("lm"))

# %% [markdown]
# ## Layers that are sparse by design
#
# A {term}`predefined sparse <predefined sparseness>` LSTM beside its blocks called one by one, the dense layer with as many
# parameters, and a dense layer under a mask.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-lstm", "caption": "Forward and backward of one sparse LSTM layer, over a grid of shapes. The blocks, each an LSTM of its own (N × nn.LSTM), take as long as this library, the mask longer; a dense layer with equal parameters is faster where layers are small. Key: inputs → units of the sparse layer *as* those of the dense one with equal parameters; N blocks."}, "image": {"alt": "Dot chart on a logarithmic axis: blocks one by one, dense with equal parameters, and masked, relative to this library, one row per shape.", "classes": "dark-light"}}
axes = figures.beside_peers(page.suite("lstm"))

# %% tags=["remove-input"]
extremes_sentence(page.suite("lstm"))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-embedding", "caption": "A step of a sparse embedding beside dense, padded and masked ones. Only at V 43,815 does the dense one lie left of the line, faster than this library. Key: V words, k dimensions, density δ, M bins."}, "image": {"alt": "Dot chart on a logarithmic axis: dense, padded and masked embeddings relative to this library, one row per geometry.", "classes": "dark-light"}}
axes = figures.beside_peers(page.suite("embedding"))

# %% tags=["remove-input"]
extremes_sentence(page.suite("embedding"))

# %% tags=["remove-input"]
peers_table(page.suite("embedding"))

# %% [markdown]
# A dense embedding has more parameters, but they are one tensor. PyTorch has a fixed overhead for each
# bin. Where a bin is a single column that overhead can exceed the arithmetic, as it does at V 43,815; at V 100,000, where a column is long, it
# does not.

# %% tags=["remove-input"]
where_measured(
    page.suite("embedding").query("contestant == 'adaptive input'"),
    "*Adaptive input* (Baevski & Auli 2019) is another model with as many parameters: clusters of words by frequency, each "
    "with a narrower table than the one before it and a projection to k.",
)

# %% tags=["remove-input"]
where_measured(
    page.suite("output"),
    "The same tables as an output layer: the loss over all words, forward and backward, beside a dense output and "
    "*adaptive softmax*. That is another model of the same size, which computes the logits of rare words only where one of "
    "them is the target.",
)

# %% tags=["remove-input"]
peers_table(page.suite("output"))

# %% tags=["remove-input"]
where_measured(
    page.suite("compiled"),
    "Both recurrences through `torch.compile`, and on a GPU as CUDA graphs (*replayed*) and by the kernels of FlashRNN "
    "(Pöppel, Beck & Hochreiter 2024). Compiling and recording, which take from seconds to minutes, are in none of the times.",
)

# %% tags=["remove-input"]
peers_table(page.suite("compiled"))

# %% [markdown]
# ## Automata
#
# The recurrence of {term}`rational RNNs <rational RNN>` beside the loop that one would write first (*in
# place*, quadratic in the length of the text), a vectorised loop and a parallel scan. *Projection* is
# the matrix products that all of them share: nothing can be faster.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-rational", "caption": "Forward and backward of the rational recurrence, for texts of several lengths. The longer the text, the further right lie the other ways; left of the line lie only the matrix products alone, which all share. Key: T words, B texts at once, E numbers per word; 24 automata of 4 transitions."}, "image": {"alt": "Dot chart on a logarithmic axis: in-place slices, loop, scan and the matrix products alone, relative to this library, one row per length.", "classes": "dark-light"}}
axes = figures.beside_peers(page.suite("rational"))

# %% tags=["remove-input"]
extremes_sentence(page.suite("rational"))

# %% tags=["remove-input"]
peers_table(page.suite("rational"))

# %% [markdown]
# ## Text

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-data", "caption": "From text to word ids, and parts of speech. Left of the line lies a single regular expression, which cuts words more coarsely and finds no sentences; the other ways are slower."}, "image": {"alt": "Dot chart on a logarithmic axis: other ways to prepare text, relative to this library.", "classes": "dark-light"}}
text = page.suite("data").query("case != 'harvest'")  # made once, then kept
axes = figures.beside_peers(text)

# %% tags=["remove-input"]
extremes_sentence(text)

# %% [markdown]
# ## Two processes
#
# A training step whose batch two processes share ([Beyond one machine](../../book/beyond.md)), and a sweep of
# eight runs on two workers, start-up included. On two cores nothing can be twice as fast.

# %% tags=["remove-input"]
peers_table(page.suite("processes"))

# %% tags=["remove-input"]
peers_table(page.suite("sweep"))

# %% [markdown]
# ## How it grows
#
# Each panel lets one size grow and holds all others. Where time or memory is proportional to a power
# of the size, the points lie on a line, and its slope is the power: 1 means that twice the size takes
# twice as much. The slopes are fitted to the three largest sizes.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-speed-growth", "caption": "Time of a step, and memory of the tensors it makes, against every size. Straight lines are powers; the exponents are in the titles."}, "image": {"alt": "Panels with logarithmic axes: time and memory against vocabulary, tokens, width, blocks and corpus size.", "classes": "dark-light"}}
axes = figures.growth_panels(page.suite("growth"))

# %% tags=["remove-input"]
growth_table(page.suite("growth"))

# %% tags=["remove-input"]
growth_sentence(page.suite("growth"))

# %% [markdown]
# The memory that training takes does not depend on the size of the corpus, which stays on the disk and
# is read window by window. Where matrices outgrow the processor's caches, or memory is fetched anew
# page by page, time grows faster than size for a while.

# %% [markdown]
# ## From commit to commit
#
# Each run of the benchmark adds its ratios to a file, with commit, machine and date, and takes none away. The folded table has a column
# for each run on this machine: a contestant's time relative to ours in the same round, with the quartiles over rounds. Contestants do not
# change, so a ratio that falls says that this library has become slower.

# %% tags=["remove-input"]
changes_sentence(page.history)

# %% tags=["remove-input"]
noise_sentence(page.history)

# %% tags=["remove-input", "hide-output"]
history_table(page.history)

# %% [markdown]
# ## What to try next
#
# - Your machine: `sparsecore bench`, or `make bench`; one suite: `sparsecore bench --suite rational`.
# - With the allocator tuned: `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 sparsecore bench`.
# - The growth of everything, up to 200 million tokens: `sparsecore bench --suite growth`.
# - This page with your results: `papermill`, parameter `results`.
