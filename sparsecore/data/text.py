"""Raw text to sentences of lower-cased tokens: two regular expressions and a few rules.

The tokens follow the conventions of the English Web Treebank (``do n't``, ``it 's``,
``long - term``), so that a tagger trained on that treebank knows them. Text that was tokenised
before, such as WikiText or the Penn Treebank files, passes through with its tokens kept; WikiText's
``@-@`` becomes the token ``-`` and its ``1 @,@ 000`` the number ``1,000``. Rules for sentences and
clitics are those of English; a word of any script is one token, with its combining marks.
"""

from __future__ import annotations

import functools
import re
import unicodedata

UNK = "<unk>"
EOS = "<eos>"

# Never the last word of a sentence when a capital letter or a number follows.
_TITLES = frozenset(
    "mr mrs ms messrs dr prof st mt gen col lt sgt capt cmdr maj adm rev hon sen rep gov pres "
    "fr sr vs cf e.g i.e eg ie viz approx ca fig figs eq eqs eqn sec secs ref refs ch chap vol "
    "vols no nos pp p pt ed eds resp al op art incl excl ver v def thm lem prop".split()
)
# An abbreviation, after which a sentence may end as well.
_OTHER_ABBREVIATIONS = frozenset(
    "jan feb mar apr jun jul aug sept sep oct nov dec jr inc ltd co corp bros etc dept univ "
    "assn ave blvd rd ft mon tue tues wed thu thurs fri sat sun min max avg est".split()
)
# Words that open a sentence more often than they follow an abbreviation.
_STARTERS = frozenset(
    "The A An In On At It He She They We I This That These Those There If When While As For But "
    "And Its His Her Their Our You What After Before During However Although Since By With From "
    "To One Note See".split()
)

_CANDIDATE = re.compile(
    r"""
    (?<=\S)(?<!\S[.!?])[.!?]+["')\]”’»]*[ \t]+(?=["'(\[“‘«]*[A-Z0-9À-ÖØ-Þ<]) |  # run-on text
    [ ](?:\.|[!?]+)[ ](?!['’]?n?['’]?t\b)  # tokenised: a terminator by itself
    """,
    re.VERBOSE,
)
_CLOSING = re.compile(r"(?:(?:['’]{2}|[\"”’')\]»])[ ])+")
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“‘]*$")
_WORD_AFTER = re.compile(r"\w+")
_INITIALS = re.compile(r"(?:\w\.)+\w")


def split_sentences(text: str) -> str:
    r"""``text`` with a line break after every sentence; the breaks it already has are kept.

    A sentence ends at ``.``, ``!`` or ``?`` (and closing quotes or brackets) before white space and
    a capital letter or digit, unless the word before is a title, an initial or another abbreviation
    that does not end sentences. A terminator that stands alone, as in tokenised text, always ends
    one. Decimals never contain white space, so they never match.

    >>> split_sentences("Dr. A. Smith paid 3.50 dollars. He left. Why?")
    'Dr. A. Smith paid 3.50 dollars.\nHe left.\nWhy?'
    """
    pieces: list[str] = []
    start = 0
    for match in _CANDIDATE.finditer(text):
        begin, end = match.span()
        if begin < start:
            continue
        if text[begin] == " ":
            end = _after_closing(text, start, end)
        elif not _ends_sentence(text, begin, end):
            continue
        pieces.append(text[start:end].rstrip(" \t"))
        start = end
    pieces.append(text[start:])
    return "\n".join(pieces)


def _after_closing(text: str, start: int, end: int) -> int:
    """In tokenised text a quote that closes what this sentence opened belongs to this sentence."""
    closing = _CLOSING.match(text, end)
    if closing is None:
        return end
    line = max(start, text.rfind("\n", start, end) + 1)
    mark = closing.group()[0]
    if mark in "\"'" and text.count(f"{mark} ", line, end) % 2 == 0:
        return end
    return closing.end()


def _ends_sentence(text: str, begin: int, end: int) -> bool:
    if text[begin] != "." or text[begin + 1] == ".":
        return True
    before = _WORD_BEFORE.search(text, max(0, begin - 24), begin)
    word = before.group() if before else ""
    if text[begin + 1] in "\"'”’" and len(word) > 1:
        return True
    if word.lower() in _TITLES:
        return False
    initials = (len(word) == 1 and word.isalpha() and word != "I") or _INITIALS.fullmatch(word)
    if initials or word.lower() in _OTHER_ABBREVIATIONS:
        after = _WORD_AFTER.search(text, end, end + 24)
        return after is not None and after.group() in _STARTERS
    return True


_ABBREVIATIONS = "|".join(
    sorted(word for word in _TITLES | _OTHER_ABBREVIATIONS if len(word) > 1 and "." not in word)
)


@functools.cache
def marks() -> str:
    r"""A regular expression's class, without brackets, of what ``\w`` lacks inside words.

    Combining marks (the vowels of Hindi and Arabic, letters that were taken apart) and the two
    joiners. Without those beyond U+1F000, which only variants of signs use.
    """
    codes = [c for c in range(0x300, 0x1F000) if unicodedata.category(chr(c))[0] == "M"]
    codes = sorted([*codes, *_JOINERS])
    starts = [c for c, before in zip(codes, [0, *codes], strict=False) if c != before + 1]
    ends = [c for c, after in zip(codes, [*codes[1:], 0], strict=True) if c != after - 1]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))


@functools.cache
def _token_pattern(inner: str) -> re.Pattern[str]:
    """Tokens of text whose words may hold ``inner`` characters; most text has none of them."""
    letter = rf"[^\W\d_][{inner}]*" if inner else r"[^\W\d_]"
    word = rf"\w{inner}"
    compound = rf"[^\w\s](?:[{inner}{_TONES}] | (?<=\u200d)[^\w\s])*"
    symbols = rf"[{_FLAGS}]{{2}} | {compound}" if inner else r"[^\w\s]"
    return re.compile(
        rf"""
        [ ]*+(
        [{word}]++(?=[ \n,])(?!,\d)                                  # most words: taken at once
        | [\n,\x1d]
        | <unk>
        | (?:https?://|www\.)[^\s<>()\[\]"']*[^\s<>()\[\]"'.,;:!?]
        | [{word}.+-]{{1,64}}@\w[\w-]{{0,62}}(?:\.\w{{1,63}}){{1,9}}  # e-mail address
        | (?:{_ABBREVIATIONS})\.(?=[ ,;:)][^\n])                     # abbreviations in a sentence
        | (?:[^\W\d_]\.){{2,}}+                                      # u.s., e.g., p.m.
        | [^\W\d_]\.(?=[ ][^\n])                                     # initials
        | \d+(?:[.,:/]\d+)++[{word}]*                                # 1,000  3.14  10:30  1/2
        | (?:e|co|non|re|pre|anti|multi|semi|post|ex)-(?:{letter})+  # prefixes keep their hyphen
        | (?:{letter})+(?:\.[{word}]+)++                             # u.k, co.uk, numpy.array
        | [{word}]+(?:['](?!(?:s|m|d|re|ve|ll)\b)(?:{letter})+)?     # words, o'clock
        | '(?:s|m|d|re|ve|ll|t|em|n)\b | n't\b                       # clitics
        | \.\.+ | --+ | [!?]+ | ''
        | {symbols}
        )
        """,
        re.VERBOSE,
    )


@functools.cache
def _marked() -> re.Pattern[str]:
    return re.compile(f"[{marks()}{_FLAGS}{_TONES}]")


_JOINERS = (0x200C, 0x200D)  # between letters of a word, or the parts of a compound sign
_FLAGS = "\U0001f1e6-\U0001f1ff"  # letters, of which two are a flag
_TONES = "\U0001f3fb-\U0001f3ff"  # of the skin
_INVISIBLE = re.compile("[\ufeff\u2060\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks of order
_REPLACEMENTS = (
    ("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("…", "..."),
    ("\u00a0", " "), ("\u00ad", ""), ("\u200b", ""), ("\u2011", "-"), ("\u2010", "-"),
)  # fmt: skip
_WIKITEXT_NUMBER = re.compile(r" @([.,])@ (?=\d)")
_LONE_CLITIC = re.compile(r"n ('t\b)")
_MANY_SPACES = " " * 50  # more are tried anew from each of them
_SPACES = re.compile(r"  +")
_NEGATION = re.compile(r"n't\b")


def normalise(text: str) -> str:
    """One form for quotes, spaces and hyphens, WikiText's ``@-@`` undone; case is kept.

    Byte order marks inside a text and marks of the direction of writing are removed.
    """
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
        for old, new in _REPLACEMENTS:
            text = text.replace(old, new)
    if " @" in text:
        text = _WIKITEXT_NUMBER.sub(r"\1", text.replace(" @-@ ", " - "))
    if "``" in text:
        text = text.replace("``", '"')
    return text


def tokenize(text: str) -> list[str]:
    r"""Lower-cased tokens of ``text``; a line break stays as the token ``"\n"``.

    >>> tokenize("Don't worry, it's Dr. Smith's long-term plan (3.5%).")[:11]
    ['do', "n't", 'worry', ',', 'it', "'s", 'dr.', 'smith', "'s", 'long', '-']
    """
    text = text.lower()
    if _MANY_SPACES in text:
        text = _SPACES.sub(" ", text)
    if "n't" in text:
        text = _NEGATION.sub(" n't", text)
    if "n 't" in text:
        text = _LONE_CLITIC.sub(r" n\1", text)
    if "cannot" in text:
        text = text.replace("cannot", "can not")
    plain = text.isascii() or not _marked().search(text)
    return _token_pattern("" if plain else marks()).findall(text)
