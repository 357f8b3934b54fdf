"""Sentences and tokens of English, of tokenised text, and of anything at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.data.encode import sentences_of
from sparsecore.data.text import normalise, split_sentences, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't go; it's theirs.", "do n't go ; it 's theirs ."),
        ("They'll say we've won, I'm sure.", "they 'll say we 've won , i 'm sure ."),
        ("You cannot and won't", "you can not and wo n't"),
        ("Mr. Smith of the U.S. paid $3.50.", "mr. smith of the u.s. paid $ 3.50 ."),
        ("1,000 people (5%) at 10:30", "1,000 people ( 5 % ) at 10:30"),
        ("a long-term e-mail", "a long - term e-mail"),
        ("O'Brien's dog at six o'clock", "o'brien 's dog at six o'clock"),
        ("see https://example.org/a?b=c, then", "see https://example.org/a?b=c , then"),
        ("J. R. Smith wrote to me@example.org.", "j. r. smith wrote to me@example.org ."),
        ("Wait... what?! “Yes,” he said", 'wait ... what ?! " yes , " he said'),
        ("a role @-@ playing game of 1 @,@ 000", "a role - playing game of 1,000"),
        ("he didn 't say < unk > <unk> .", "he did n't say < unk > <unk> ."),
        ("Æthelred’s café", "æthelred 's café"),
    ],
)
def test_tokens_follow_the_english_web_treebank(text, tokens):
    assert tokenize(normalise(text)) == tokens.split(" ")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902", 2),  # vowels of Hindi
        ("\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u0627", 1),  # and of Arabic
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", 1),  # a joiner of Persian
        ("\u0130stanbul m\u0323\u0301a", 2),  # Turkish; letters that were taken apart
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f", 2),  # compound signs
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 \U0001f44d\U0001f3fd", 3),  # flags, a tone
        ("a\u200e \ufeffb", 2),  # marks without a width
    ],
)
def test_combining_marks_and_joiners_stay_in_their_tokens(text, tokens):
    assert len(tokenize(normalise(text))) == tokens


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z"])))
def test_marks_elsewhere_do_not_change_the_tokens(text):
    plain = tokenize(normalise(text))
    assert tokenize(normalise(f"{text}\ne\u0323\u0302\u0301"))[: len(plain)] == plain


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Smith left at 3.50 p.m. on Friday.", "He was late."],
        ["It rained.", "Was it wet?", "Yes!", "The end."],
        ['He said "go."', "She went."],
        ["See Fig. 3 of J. Smith et al. 2004.", "It shows more."],
        ["He lives in the U.S. Army base.", "She lives in the U.S.", "The rest moved."],
        ["The price, i.e. the cost, rose.", "(It fell later.)", "Then nothing."],
        ["In Jan. 2004 it opened.", "In Dec. it closed."],
    ],
)
def test_sentences_of_running_text(sentences):
    assert split_sentences(" ".join(sentences)).split("\n") == sentences


def test_sentences_of_tokenised_text():
    text = 'He said " I go . " <unk> went . the rest did n\'t . Mr. X stayed .'
    assert split_sentences(text).split("\n") == [
        'He said " I go . "',
        "<unk> went .",
        "the rest did n't .",
        "Mr. X stayed .",
    ]


def test_wikitext_headings_are_left_out_and_titles_begin_documents():
    text = " \n = A Title = \n \n First one . Second one . \n \n = = Part = = \n \n Third . \n"
    lines = [line.strip(" ") for line in sentences_of(text, "headings").split("\n")]
    assert [line for line in lines if line] == ["\x1d", "First one .", "Second one .", "Third ."]


def test_short_lines_of_articles_are_headings():
    text = "Chen Zhili\nChen Zhili was born in 1942.\nEarly life.\nShe studied.\n\nNext one\n"
    lines = sentences_of(text, "blank lines").split("\n")
    assert "Chen Zhili was born in 1942." in lines
    assert "Early life." not in lines
    assert "Chen Zhili" not in lines


def test_wrapped_lines_are_joined():
    text = "This sentence goes\nover the line. So\ndoes this one.\n\nA new document.\n"
    assert sentences_of(text, "wrapped").split("\n")[:2] == [
        "This sentence goes over the line.",
        "So does this one.",
    ]


@given(st.text())
def test_any_text_gives_lower_case_tokens_without_white_space(text):
    for token in tokenize(normalise(text)):
        assert token in ("\n", "\x1d") or (token and not token.isspace() and " " not in token)
        assert token == token.lower() or len(token.lower()) != len(token)


@given(st.text(alphabet=st.sampled_from("abc ABC.?!\"'()3\n"), max_size=80))
def test_splitting_sentences_only_moves_white_space(text):
    assert "".join(split_sentences(text).split()) == "".join(text.split())


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1))
def test_plain_words_are_their_own_tokens(words):
    kept = [word for word in words if "cannot" not in word]
    assert tokenize(" ".join(kept)) == kept
