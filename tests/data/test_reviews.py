"""Reviews: three formats read, malformed ones refused, no text in two splits."""

import gzip
import json
import lzma

import numpy as np
import pandas as pd
import pytest

from sparsecore.data import reviews
from sparsecore.data.review_files import clean, read_reviews
from sparsecore.data.reviews import collection_of, prepare_reviews
from sparsecore.data.sources import SOURCES
from sparsecore.errors import InputError
from sparsecore.home import cache_dir


def amazon(texts, rating="5.0", title="A title"):
    """Reviews in the original format; tags stand alone on their lines."""
    return "\n".join(
        f"<review>\n<unique_id>\n{number}:x\n</unique_id>\n<rating>\n{rating}\n</rating>\n"
        f"<title>\n{title}\n</title>\n<review_text>\n{text}\n\n</review_text>\n</review>"
        for number, text in enumerate(texts)
    )


def texts(word, count):
    return [f"It is {word}, number {number}!" for number in range(count)]


def write_amazon(folder, category="books", count=40):
    (folder / category).mkdir(parents=True)
    for name, word, rating in (("positive", "good", "5.0"), ("negative", "bad", "1.0")):
        path = folder / category / f"{name}.review"
        path.write_text(amazon(texts(f"{word} {category}", count), rating))
    return folder


def tokenised(word, count, start=0):
    return [f"it is {word} , number {n} !" for n in range(start, start + count)]


def write_lines(path, rows, encoding="utf-8"):
    data = "".join(f"{label}\t{text}\n" for label, text in rows).encode(encoding)
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "wb") as file:
        file.write(data)


def both(count, start=0):
    return [("1", t) for t in tokenised("good", count, start)] + [
        ("0", t) for t in tokenised("bad", count, start)
    ]


def all_texts(corpus):
    return {
        split: [tuple(corpus.tokens(split, n)) for n in range(len(getattr(corpus, split)))]
        for split in ("train", "dev", "test")
    }


def test_original_amazon_format(tmp_path):
    corpus = prepare_reviews(str(write_amazon(tmp_path / "amazon")), progress=False)
    assert corpus.name == "books" and corpus.labels == ("negative", "positive")
    sizes = {split: len(rows) for split, rows in all_texts(corpus).items()}
    assert sizes == {"train": 51, "dev": 13, "test": 16}
    document = corpus.tokens("train", 0)
    assert document[:3] == ["it", "is", "good"] and document[-1] == "!" and "," in document
    good = [("good" in document) == bool(label) for document, label in zip(
        all_texts(corpus)["test"], corpus.test.labels, strict=True)]  # fmt: skip
    assert all(good)


def test_the_label_of_a_single_file_is_its_rating(tmp_path):
    path = tmp_path / "all.review"
    path.write_text(
        f"<data>\n{amazon(texts('good', 20), '4.0')}\n{amazon(texts('bad', 20), '2.0')}\n</data>\n"
    )
    corpus = prepare_reviews(str(path), progress=False)
    assert corpus.labels == ("negative", "positive") and corpus.name == "all"


def test_tokenised_categories_with_latin_1_and_compression(tmp_path):
    odd = [("1", "a café , good ."), ("0", "a bad film .")]
    write_lines(tmp_path / "dvd.task.train", both(20) + odd, "latin-1")
    write_lines(tmp_path / "dvd.task.test", both(5, 100))
    write_lines(tmp_path / "music.task.train.xz", both(15, 200))
    write_lines(tmp_path / "music.task.test.gz", both(5, 300))
    corpus = prepare_reviews(str(tmp_path), "dvd", progress=False)
    assert "café" in corpus.words and corpus.info["documents"]["test"] == 10
    mix = prepare_reviews(str(tmp_path), "mix", progress=False)
    assert mix.info["categories"] == ["dvd", "music"] and mix.info["documents"]["test"] == 20
    assert collection_of(str(tmp_path), False).categories == ["dvd", "music"]
    assert prepare_reviews(str(tmp_path), "mus", progress=False).name == "music"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I said &quot;no&quot;, don&#39;t!<br />Bad &amp; old", "i said no , do n't ! bad old"),
        ("&amp;quot;Twice&amp;quot; <B>escaped</B> at AT&T <3", "twice escaped at at t 3"),
        ("I don\u2019t, he doesn\x92t", "i do n't , he does n't"),
        ("a naïve café", "a naïve café"),
        ("m\u0323\u0301a \u2764\ufe0f ok", "m\u0323\u0301a ok"),
    ],
)
def test_raw_text_is_cleaned(text, tokens):
    assert " ".join(clean(text)) == tokens


def test_a_line_in_windows_1252_does_not_change_the_others(tmp_path):
    lines = ["1\ta café , good .".encode(), b"0\ti don\x92t like it .", b"1\tit \x96 is ."]
    (tmp_path / "a.tsv").write_bytes(b"\r".join(lines))
    found = [" ".join(review.tokens) for review in read_reviews(tmp_path / "a.tsv", "a")]
    assert found == ["a café , good .", "i don\u2019t like it .", "it \u2013 is ."]
    (tmp_path / "b.tsv").write_text("1\ta good one .\n0\ta bad one .\n", encoding="utf-16")
    assert [review.label for review in read_reviews(tmp_path / "b.tsv", "b")] == ["1", "0"]


@pytest.mark.parametrize("rating", ["nan", "inf", "-1", "50", "", "five"])
def test_ratings_that_say_nothing_are_refused(tmp_path, rating):
    (tmp_path / "all.review").write_text(amazon(["text"], rating))
    with pytest.raises(InputError, match=r"review 1 has no <rating> from 0 to 5 stars"):
        list(read_reviews(tmp_path / "all.review", "all"))


def test_two_files_for_one_split_are_refused(tmp_path):
    for name in ("train.tsv", "train.txt", "test.tsv"):
        write_lines(tmp_path / name, both(10))
    with pytest.raises(InputError, match=r"more than one train file: train\.tsv and train\.txt"):
        prepare_reviews(str(tmp_path), progress=False)


def test_given_splits_are_kept_and_shared_texts_dropped(tmp_path):
    shared = [("1", "the same good text .")]
    write_lines(tmp_path / "train.tsv", both(10) + shared)
    write_lines(tmp_path / "dev.tsv", both(4, 50) + shared)
    write_lines(tmp_path / "test.tsv", both(6, 80) + shared)
    corpus = prepare_reviews(str(tmp_path), progress=False)
    assert corpus.info["documents"] == {"train": 20, "dev": 8, "test": 13}
    assert corpus.info["dropped"]["train documents whose text is in test"] == 1
    assert corpus.info["dropped"]["dev documents whose text is in test"] == 1


def test_equal_texts_stay_together(tmp_path):
    rows = [(label, text) for label, text in both(30) for _ in range(3)]
    write_lines(tmp_path / "all.tsv", rows)
    corpus = prepare_reviews(str(tmp_path / "all.tsv"), progress=False)
    found = {split: set(rows) for split, rows in all_texts(corpus).items()}
    assert not found["train"] & found["dev"] and not found["train"] & found["test"]
    assert not found["dev"] & found["test"] and len(found["test"]) == 12
    assert sum(corpus.info["documents"].values()) == 180


def test_preparation_is_deterministic_cached_and_seeded(tmp_path, monkeypatch):
    folder = str(write_amazon(tmp_path / "amazon"))
    first = prepare_reviews(folder, progress=False)
    other = prepare_reviews(folder, seed=1, progress=False)
    assert all_texts(first) != all_texts(other) and first.sha256 != other.sha256
    monkeypatch.setattr(reviews, "make_folds", lambda *_: pytest.fail("not from the cache"))
    again = prepare_reviews(folder, progress=False)
    assert again.sha256 == first.sha256 and all_texts(again) == all_texts(first)


def test_max_documents_caps_train_and_dev(tmp_path):
    folder = str(write_amazon(tmp_path / "amazon"))
    corpus = prepare_reviews(folder, max_documents=20, progress=False)
    assert corpus.info["documents"] == {"train": 20, "dev": 5, "test": 16}


def test_only_the_last_words_of_long_documents_are_read(tmp_path):
    write_lines(tmp_path / "all.tsv", both(30))
    whole = prepare_reviews(str(tmp_path / "all.tsv"), progress=False)
    short = prepare_reviews(str(tmp_path / "all.tsv"), max_length=3, progress=False)
    documents = {tuple(d) for rows in all_texts(whole).values() for d in rows}
    for rows in all_texts(short).values():
        assert all(len(d) == 3 and any(w[-3:] == d for w in documents) for d in rows)
    found = {split: set(rows) for split, rows in all_texts(short).items()}  # " , number n !"
    assert not found["train"] & found["test"] and not found["dev"] & found["test"]


def test_titles_stand_before_the_last_words_and_do_not_divide_equal_texts(tmp_path):
    for name, word, rating in (("positive", "good", "5.0"), ("negative", "bad", "1.0")):
        once = amazon(texts(word, 30), rating, title=f"Quite {word}!")
        again = amazon(texts(word, 30), rating, title="Again")  # the same texts
        (tmp_path / f"{name}.review").write_text(f"{once}\n{again}")
    found = prepare_reviews(str(tmp_path), titles=True, max_length=8, progress=False)
    documents = all_texts(found)
    every = [d for rows in documents.values() for d in rows]
    assert ("quite", "good", "!", "good", ",", "number", "7", "!") in every
    assert ("again", "is", "bad", ",", "number", "7", "!") in {d[:1] + d[2:] for d in every}
    assert all(len(d) == 8 for d in every)
    plain = prepare_reviews(str(tmp_path), max_length=8, progress=False)
    assert plain.info["documents"] == found.info["documents"]
    assert not any("quite" in d for rows in all_texts(plain).values() for d in rows)


def test_a_text_reposted_under_another_title_stays_in_one_split(tmp_path):
    for name, word, rating in (("positive", "good", "5.0"), ("negative", "bad", "1.0")):
        parts = [amazon(texts(word, 30), rating, title=title) for title in ("Fine", "Not so fine")]
        (tmp_path / f"{name}.review").write_text("\n".join(parts))
    found = prepare_reviews(str(tmp_path), titles=True, max_length=9, progress=False)
    numbers = {
        split: {(d[-2], "good" in d) for d in rows} for split, rows in all_texts(found).items()
    }
    assert not numbers["train"] & numbers["test"] and not numbers["dev"] & numbers["test"]
    assert not numbers["train"] & numbers["dev"]


def test_titles_need_files_that_have_them(tmp_path):
    write_lines(tmp_path / "all.tsv", both(30))
    with pytest.raises(InputError, match=r"titles=True needs .review files; all.tsv "):
        prepare_reviews(str(tmp_path / "all.tsv"), titles=True, progress=False)


def test_embedded_documents_are_balanced_and_no_module_is_shared(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    rows = [
        (f"module{m}", kind, f"The {kind} of thing {m} and {n} is here.")
        for m in range(60)
        for kind in ("parameter", "returned", "description")
        for n in range(int(generator.integers(1, 5)))
    ]
    table = pd.DataFrame(rows, columns=["module", "kind", "text"])
    table.to_parquet(tmp_path / "paragraphs.parquet")
    monkeypatch.setattr("sparsecore.data.embedded.harvest", lambda progress: tmp_path)
    monkeypatch.setattr("sparsecore.data.review_folds.EMBEDDED_DOCUMENTS", 100)
    corpus = prepare_reviews("embedded", progress=False)
    assert corpus.labels == ("parameter", "returned")
    modules = {}
    for split, documents in all_texts(corpus).items():
        assert getattr(corpus, split).labels.mean() == 0.5
        modules[split] = {document[4] for document in documents}  # the module's number
    assert not modules["train"] & modules["test"] and not modules["dev"] & modules["test"]


def test_registry_needs_the_download(tmp_path):
    with pytest.raises(InputError, match="sparsecore data fetch amazon-reviews"):
        prepare_reviews("amazon-reviews", "books", progress=False)
    folder = cache_dir("downloads") / "amazon-reviews"
    for category in ("books", "dvd", "electronics", "kitchen_&_housewares"):
        write_amazon(folder, category)
    files = [
        {"name": name, "size": (folder / name).stat().st_size}
        for name in SOURCES["amazon-reviews"].files
    ]
    (folder / "source.json").write_text(json.dumps({"files": files}))
    corpus = prepare_reviews("amazon-reviews", "kitchen", progress=False)
    assert corpus.name == "kitchen_&_housewares" and "no licence" in corpus.info["licence"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<review>\n<title>\nx\n</title>\n</review>\n", "review 1 has no <review_text>"),
        ("<review>\n<review_text>\nx\n</review>\n", "<review_text> is not closed"),
        ("<review>\n<review_text>\nx\n</review_text>\n", "opened at line 1 is not closed"),
        ("stray\n", "line 1: 'stray' where a <review>"),
        ("<review>\nstray\n</review>\n", "line 2: 'stray' where a tag"),
        ("\n", "holds no <review>"),
        (amazon(["x"], "3.0"), "3 stars"),
        (amazon(["x"], "many"), "no <rating> from 0 to 5 stars: 'many'"),
    ],
)
def test_malformed_amazon_reviews(tmp_path, text, message):
    path = tmp_path / "all.review"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        prepare_reviews(str(path), progress=False)
    assert "\n" not in str(caught.value) and not list(cache_dir("reviews").iterdir())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1\tgood\nno tab here\n", "line 2 is not of the form label<TAB>text"),
        ("\tno label\n", "line 1 is not of the form"),
        ("1\tgood\n0\t \n", "line 2 has no words; .*drop_empty"),
        ("1\ta b\n2\tc d\n3\te f\n", r"3 labels \('1', '2', '3'\) where there must be two"),
        ("1\ta b\n1\tc d\n1\te f\n", r"1 labels \('1'\) where there must be two"),
        ("", "is empty"),
        ("1\ta\x00b\n", "not text"),
        ("1\tsame text\n0\tsame text\n", "1 different documents, too few"),
    ],
)
def test_malformed_lines(tmp_path, rows, message):
    path = tmp_path / "all.tsv"
    path.write_text(rows)
    with pytest.raises(InputError, match=message) as caught:
        prepare_reviews(str(path), progress=False)
    assert "\n" not in str(caught.value) and not list(cache_dir("reviews").iterdir())


def test_empty_documents_can_be_left_out(tmp_path):
    write_lines(tmp_path / "all.tsv", [*both(20), ("1", " ")])
    corpus = prepare_reviews(str(tmp_path / "all.tsv"), drop_empty=True, progress=False)
    assert corpus.info["dropped"]["empty documents"] == 1
    assert sum(corpus.info["documents"].values()) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus": "amazn-reviews"}, "did you mean 'amazon-reviews'"),
        ({"corpus": "ptb"}, "ptb holds language model"),
        ({"corpus": "/no/such/folder"}, "does not exist"),
        ({"corpus": ""}, "must be a name or a path"),
        ({"category": "boks"}, "no category 'boks' .did you mean 'books'"),
        ({"category": None}, "2 categories; choose one of"),
        ({"max_documents": 1}, "max_documents must be at least 4"),
        ({"max_length": 0}, "max_length must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"corpus": "embedded", "category": "x"}, "have no categories"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    write_amazon(tmp_path / "amazon")
    write_amazon(tmp_path / "amazon", "dvd")
    given = {"corpus": str(tmp_path / "amazon"), "category": "books", **arguments}
    with pytest.raises(InputError, match=message):
        prepare_reviews(given.pop("corpus"), **given, progress=False)


def test_a_folder_without_reviews_or_half_of_them(tmp_path):
    with pytest.raises(InputError, match="holds no reviews"):
        prepare_reviews(str(tmp_path), progress=False)
    write_lines(tmp_path / "a.train", both(3))
    with pytest.raises(InputError, match=r"category 'a' .* has no test file"):
        prepare_reviews(str(tmp_path), progress=False)


def test_damaged_file(tmp_path):
    path = tmp_path / "all.tsv.xz"
    write_lines(path, both(50))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged or cut short"):
        prepare_reviews(str(path), progress=False)


def test_raw_text_is_cleaned_and_tokenised_text_kept(tmp_path):
    assert clean("It’s 100% “GREAT”, isn't it?") == "it 's 100 great , is n't it ?".split()
    path = tmp_path / "raw.tsv"
    path.write_text("1\tIt's GREAT, really. Isn't it?\n0\tBad. Very, very bad.\n")
    raw = [review.tokens for review in read_reviews(path, "raw")]
    assert raw[0] == tuple("it 's great , really is n't it ?".split())
    path.write_text("1\tIt 's GREAT , really . #1\n")
    kept = [review.tokens for review in read_reviews(path, "raw")]
    assert kept == [tuple("it 's great , really . #1".split())]
