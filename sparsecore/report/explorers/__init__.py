"""Explorers: widgets that work in a live notebook and on a page without a kernel."""

from sparsecore.report.explorers.automata import AutomataReader as AutomataReader
from sparsecore.report.explorers.chi import ChiExplorer as ChiExplorer
from sparsecore.report.explorers.hover import HoverPoints as HoverPoints
from sparsecore.report.explorers.masks import MaskExplorer as MaskExplorer
from sparsecore.report.explorers.sentence import SentenceExplorer as SentenceExplorer
from sparsecore.report.explorers.train import TrainingExplorer as TrainingExplorer
