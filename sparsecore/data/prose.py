"""Which sentences of a documentation paragraph are plain English, and their plain form."""

from __future__ import annotations

import re

from sparsecore.data.text import normalise, split_sentences

# Each rule is tried only on text that holds its sign.
_INLINE = (
    ("$", re.compile(r"(?<!\w)\$[^$]+\$"), "\\\\"),  # a backslash rejects the sentence
    (":`", re.compile(r":(?:math|cite[\w:]*|footcite[\w:]*):`[^`]*`"), "\\\\"),
    (":`", re.compile(r":[\w:+.-]+:`[!~.]?([^`<]+?)\s*<[^`>]*>`"), r"\1"),
    (":`", re.compile(r":[\w:+.-]+:`[!~.]*(?:[\w.]+\.)?([^`.]*?)(?:\(\))?`"), r"\1"),
    ("`_", re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{1,2}"), r"\1"),
    ("`_", re.compile(r"`([^`<]+)`_{1,2}(?!\w)"), r"\1"),
    ("](", re.compile(r"!?\[([^\]]+)\]\([^)]*\)"), r"\1"),
    ("[", re.compile(r"\b(?:in|by|from|of|see|per|to|and|follow\w*)\s+\[\S+\]_"), "\\\\"),
    ("[", re.compile(r"\s?\[(?:\d+|#\w*|[A-Z]\w+\d+\w?|\*)\]_?"), ""),
    ("``", re.compile(r"``(?:[a-z]\w*\.)*([A-Za-z][A-Za-z-]*)``"), r"\1"),
    ("`", re.compile(r"(?<!`)`~?(?:[a-z]\w*\.)*([A-Za-z][A-Za-z-]*)`(?!`)"), r"\1"),
    ("{", re.compile(r"\b[A-Z]\{([\w -]+)\}"), r"\1"),
    ("*", re.compile(r"(?<![\w*])\*{1,2}(?=\S)([^*]+?)(?<=\S)\*{1,2}(?![\w*])"), r"\1"),
    ("_", re.compile(r"(?<!\w)_([a-zA-Z][^_]*\w)_(?!\w)"), r"\1"),
    ("(", re.compile(r"(?<=[a-z])\((e?s)\)"), r"\1"),  # value(s)
    ("--", re.compile(r"(?<=[\w)]) ?--(?:-|(?= ?\w)) ?(?=\w)"), " - "),
    ("  ", re.compile(r" {2,}"), " "),
)
_FORBIDDEN = re.compile(
    r"""[\\{}|=<>_~^#$@*`\[\]+\ufffd\u2500-\u257f\u2190-\u22ff]  # signs of code, tables
    | \w\(  | \(\)                         # calls
    | [a-z]\.[A-Za-z] | (?:^|\s)\.\w       # dotted names
    | (?<![a-z]{2})/|/(?![a-z]{2})|/\w+/   # paths
    | \.\.\. | [:;]\S | -- | \s[-&]\S
    | \b[A-Z]{2,}[ ](?:[A-Z]{2,}[ ]?){2,}  # capitals only
    | https?: | www\. | \b(?:TODO|FIXME|XXX|noqa|pylint|doctest)\b
    | (?<![a-z])[ ]-[ ] | [ ]-[ ](?![a-z])
    | (?:^|\s)["']?[^\w\s"'(-]["']?(?:\s|$) # a sign that stands alone
    | (?:^|\s)'\s
    """,
    re.VERBOSE,
)
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|[A-Z]\.[A-Z])\b\.?", re.IGNORECASE)
_FUNCTION_WORDS = frozenset(
    "a an the of to in on at by for from with without into as and or but not no is are was were "
    "be been being has have had do does did can could may might must shall should will would "
    "this that these those it its they them their there which who whose what when where how if "
    "then than so such only also both each all any some one two other same more most very we "
    "you your our he she his her i while because between after before about over under through "
    "during until since".split()
)
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_MIXED = re.compile(r"[a-z][A-Z]|\d[A-Za-z]|[A-Za-z]\d|(?<![\w'])(?![aAI])[A-Za-z](?![\w'])")
# A short paragraph that lacks nothing but its full stop.
_UNENDED = re.compile(r"(?:[^\s.!?:;,]+,? ){3,14}[^\s.!?:;,]*[a-z)]")
_DIGIT = re.compile(r"\d")
_OTHER = re.compile(r"[^A-Za-z ]")


def sentences(paragraph: str, fragment: bool = False) -> list[str]:
    """The plain English sentences of a paragraph, with mark-up taken off.

    With ``fragment``, as for the description of a parameter, the first one may begin with a small
    letter, which becomes a capital.

    >>> sentences("Return the mean of ``values``. See :func:`~numpy.mean`; x = f(y).")
    ['Return the mean of values.']
    """
    text = paragraph
    for sign, pattern, replacement in _INLINE:
        if sign in text:
            text = pattern.sub(replacement, text)
    text = normalise(text.strip())
    if _UNENDED.fullmatch(text) and text.rpartition(" ")[2].lower() not in _FUNCTION_WORDS:
        text += "."
    if fragment and text[:1].islower() and text[1:2] not in (" ", "."):
        text = text[0].upper() + text[1:]
    return [line for line in split_sentences(text).split("\n") if is_prose(line)]


def is_prose(sentence: str) -> bool:
    """Whether a string is one whole English sentence, without code, tables or lists of names.

    It begins with a capital and ends in a full stop, question or exclamation mark; it has 4 to 60
    words, a fifth of them or more function words, few digits, names and commas, closed brackets
    and quotes, and none of the signs of code.

    >>> is_prose("The values are sorted in place.")
    True
    >>> is_prose("numpy, scipy, pandas.")
    False
    """
    if not sentence[:1].isupper() and sentence[:1] not in ('"', "("):
        return False
    bare = sentence.rstrip("\"')")
    if not bare.endswith((".", "!", "?")) or bare.endswith(("..", " .")):
        return False
    if _FORBIDDEN.search(_ABBREVIATED.sub("", sentence) if "." in bare[:-1] else sentence):
        return False
    words = _WORD.findall(sentence)
    number = len(words)
    if not 4 <= number <= 60 or len(max(words, key=len)) > 22:
        return False
    function = len([word for word in words if word.lower() in _FUNCTION_WORDS])
    if function < (1 if number <= 6 else 2) or function < 0.2 * number:
        return False
    if len([word for word in words[1:] if word[0].isupper()]) > 0.25 * number:
        return False
    if len(_DIGIT.findall(sentence)) > 4 or len(_MIXED.findall(sentence)) > 2:
        return False
    return (
        len(_OTHER.findall(sentence)) <= 0.1 * len(sentence)
        and sentence.count(",") <= 0.2 * number
        and sentence.count("(") == sentence.count(")")
        and sentence.count('"') % 2 == 0
    )
