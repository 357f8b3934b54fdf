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
# # Train one
#
# A small language model learns on this page, on your machine. Press *Start* and watch two curves: the loss, and ρ, the
# correlation of {term}`chi` of the {term}`upward gradient` with log frequency over the words. Then choose another optimiser and
# press *Start another*: the earlier curves stay, and a run that has not ended stops where it is. An estimate of the time appears
# after its first updates.

# %% tags=["parameters", "hide-input"]
preset = "quick"  # nothing is trained in Python here: all show the same

# %% tags=["remove-input"]
from sparsecore.runs.notebook import check_parameters

check_parameters(globals())

# %%
from sparsecore.report.explorers import TrainingExplorer
from sparsecore.report.pages.training import common_sentences

text = common_sentences("embedded", max_types=800)  # or the path of a text of yours
explorer = TrainingExplorer(**text, hidden_size=32)
explorer

# %% [markdown]
# ## What to look for
#
# - **SGD at 20**, the paper's rate. Within a few hundred updates frequent words rise above rare ones, and ρ with them. Then
#   it falls, and by the end hardly any of it is left, while the loss still improves.
# - **SGD at 5** learns more slowly, and ρ falls more slowly; at **1** most of it is left when the run ends.
# - **Adam is not a different story.** At a rate of 0.002 most of ρ is still there at the end; at 0.01 it vanishes, as with SGD
#   at 20.
# - **The figure on the front page looks different**: there ρ goes on rising with SGD at 5 and stays low with Adam. That is a
#   larger model, of two layers, which reads Wikipedia and meets each sentence once; here a small text is read about six times.
# - **So is it the optimiser, or how far training has come?** Plot ρ against the loss: the curves move together, and only the gap
#   that remains is left for the optimiser to explain. On this small model most of the difference between
#   optimisers is a difference in progress.
# - **Change the seed.** Another start gives another peak, often by more than a tenth; the rise and the fall stay.
#
# This is a demonstration, not one of the reference runs: one layer of 32 units, 2,000 updates of 200 words, and a text that is read
# several times, made of sentences from the documentation of Python packages that use only the 800 commonest words. The same model in
# PyTorch behaved the same with two or three seeds for each optimiser, and the tests compare every gradient and every step of either
# optimiser with PyTorch's. The studies are on [another page](../../book/causes/index.md).
#
# In a live notebook `explorer.curves` has the numbers of finished runs, and `common_sentences("text.txt")` trains on a text of
# yours.
