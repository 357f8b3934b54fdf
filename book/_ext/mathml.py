"""Mathematics as MathML, made while the book is built: no script and no font to load.

Every current browser draws MathML by itself. Each formula carries its TeX source as a label for
those who listen to the page.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


# What the converter does not know, in words that it knows; and what browsers would draw badly.
_TEX = {"{aligned}": "{split}", r"\overline": r"\bar"}
_DRAWN = {"<mo>&#x02016;</mo>": '<mo stretchy="false">&#x02016;</mo>'}


def to_mathml(tex: str, display: str) -> str:
    """The ``<math>`` element of a TeX formula; ``display`` is ``inline`` or ``block``."""
    tex = tex.strip()
    element = convert(_replace(tex, _TEX), display=display)
    label = f'<math alttext="{escape(tex)}" '
    return _replace(element, _DRAWN).replace("<math ", label, 1)


def _replace(text: str, table: dict[str, str]) -> str:
    for old, new in table.items():
        text = text.replace(old, new)
    return text


def _render(node: nodes.Element, display: str) -> str:
    try:
        return to_mathml(node.astext(), display)
    except Exception as error:  # the converter has many; each is a mistake on the page
        logger.warning("cannot draw formula %r: %r", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def visit_math(self: Any, node: nodes.math) -> None:
    """An inline formula."""
    self.body.append(f'<span class="math">{_render(node, "inline")}</span>')
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """A displayed formula, with its number if it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math-display"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(_render(node, "block"))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer under the name ``mathml`` (``html_math_renderer``)."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))  # type: ignore[arg-type]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
