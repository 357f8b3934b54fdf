"""Explorers: widgets that work in a live notebook and on a page without a kernel."""

from sparsecore.view.explorers.masks import MaskExplorer as MaskExplorer
