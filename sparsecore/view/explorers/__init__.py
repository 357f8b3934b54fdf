"""Explorers: widgets that work in a live notebook and on a page without a kernel."""

from sparsecore.view.explorers.automata import AutomataReader as AutomataReader
from sparsecore.view.explorers.chi import ChiExplorer as ChiExplorer
from sparsecore.view.explorers.lens import SentenceLens as SentenceLens
from sparsecore.view.explorers.masks import MaskExplorer as MaskExplorer
