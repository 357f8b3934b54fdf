"""Contextual vectors: a tiny random BERT made here, read once, aligned word by word."""

import numpy as np
import pytest
import torch

from sparsecore.data import contextual
from sparsecore.data.contextual import contextual_vectors, encode_words, is_encoder
from sparsecore.data.reviews import prepare_reviews
from sparsecore.errors import InputError
from sparsecore.home import cache_dir

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "is", "good", "bad", "un", "##heard",
          "##of", *map(str, range(10))]  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of two layers, 16 wide, that reads at most 24 pieces."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def corpus(tmp_path):
    rows = [f"{n % 2}\tit is {'good' if n % 2 else 'bad'} unheardof {n} ." for n in range(24)]
    rows.append("1\t" + " ".join(["good"] * 30))  # longer than the encoder reads
    (tmp_path / "all.tsv").write_text("\n".join(rows) + "\n")
    return prepare_reviews(str(tmp_path / "all.tsv"), progress=False)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_word_has_the_vector_of_its_pieces(encoder, corpus, pooling):
    from transformers import AutoModel, AutoTokenizer

    assert is_encoder(encoder) and is_encoder("hub:x/y") and not is_encoder("embedded")
    found = contextual_vectors(encoder, corpus, pooling=pooling, dtype="float32", progress=False)
    total = sum(corpus.info["tokens"].values())
    assert found.table.shape == (1 + total, 16) and not found.table[0].any()
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    words = corpus.tokens("dev", 0)
    start = found.first["dev"]
    pieces = [tokenizer.tokenize(word) for word in words]
    ids = [p for word in pieces for p in tokenizer.convert_tokens_to_ids(word)]
    with torch.no_grad():
        own = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
        hidden = model(torch.tensor([own])).last_hidden_state[0, 1:-1]
    bounds = np.cumsum([0, *map(len, pieces)])
    for place in range(len(words)):
        part = hidden[bounds[place] : bounds[place + 1]]
        expected = part[0] if pooling == "first" else part.mean(0)
        np.testing.assert_allclose(found.table[start + place], expected, atol=2e-6)


def test_long_documents_are_read_in_windows_and_all_words_have_vectors(encoder, corpus):
    found = contextual_vectors(encoder, corpus, progress=False)
    assert found.table.dtype == np.float16
    assert (np.abs(found.table[1:]).sum(1) > 0).all()


def test_it_is_computed_once(encoder, corpus, monkeypatch):
    first = contextual_vectors(encoder, corpus, progress=False)
    monkeypatch.setattr(contextual, "load_encoder", lambda *_: pytest.fail("computed twice"))
    again = contextual_vectors(encoder, corpus, progress=False)
    assert first.sha256 == again.sha256
    np.testing.assert_array_equal(first.table, again.table)


def test_what_cannot_be_read_is_one_line(tmp_path, corpus):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read") as caught:
        contextual_vectors(str(tmp_path), corpus, progress=False)
    assert "\n" not in str(caught.value)
    for name, value in (("pooling", "max"), ("dtype", "float8")):
        with pytest.raises(InputError, match=f"{name} must be"):
            contextual_vectors(str(tmp_path), corpus, **{name: value}, progress=False)
    assert not list(cache_dir("contextual").iterdir())


def saved(folder, model, tokenizer):
    """A folder with a model and a tokenizer made of ``tokenizers``."""
    from transformers import PreTrainedTokenizerFast

    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


TEXT = "the quick brown fox jumps over the lazy dog"
SPECIAL = ["<unk>", "<pad>", "<s>", "</s>"]


def byte_level():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([TEXT] * 20, trainer)
    return made


def metaspace():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=40, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator([TEXT] * 20, trainer)
    return made


def models_of(size):
    """A decoder with byte-level pieces, and encoder-decoders with either."""
    from transformers import BartConfig, BartModel, GPT2Config, GPT2Model, T5Config, T5Model

    torch.manual_seed(0)
    return {
        "gpt2": GPT2Model(
            GPT2Config(vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=40)
        ),
        "bart": BartModel(
            BartConfig(
                vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1,
                encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
                decoder_ffn_dim=32, max_position_embeddings=32,
            )
        ),
        "t5": T5Model(
            T5Config(vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["gpt2", "bart", "t5"])
@pytest.mark.parametrize("make", [byte_level, metaspace])
def test_words_are_read_as_the_text_that_they_are(tmp_path, kind, make):
    pytest.importorskip("transformers")
    tokenizer = make()
    model = models_of(tokenizer.get_vocab_size())[kind].eval()
    folder = saved(tmp_path / "encoder", model, tokenizer)
    words = ["the", "quick", "dog"]
    text = "the quick dog"
    coded = tokenizer.encode(text)
    encoder = model if kind == "gpt2" else model.get_encoder()
    with torch.no_grad():
        hidden = encoder(input_ids=torch.tensor([coded.ids])).last_hidden_state[0].numpy()
    pieces = [  # a piece that is only a blank belongs to no word
        [n for n, (a, b) in enumerate(coded.offsets) if a < end and b > begin and text[a:b].strip()]
        for begin, end in ((0, 3), (4, 9), (10, 13))
    ]
    first, mean = (encode_words(folder, words, pooling=p) for p in ("first", "mean"))
    np.testing.assert_allclose(first, hidden[[each[0] for each in pieces]], atol=1e-5)
    np.testing.assert_allclose(mean, [hidden[each].mean(0) for each in pieces], atol=1e-5)


def test_a_batch_of_unequal_texts_is_read_as_each_by_itself(tmp_path, corpus):
    tokenizer = byte_level()
    folder = saved(tmp_path / "e", models_of(tokenizer.get_vocab_size())["gpt2"], tokenizer)
    found = contextual_vectors(folder, corpus, dtype="float32", progress=False)
    start = found.first["test"]
    for number in range(2):
        words = corpus.tokens("test", number)
        alone = encode_words(folder, words)
        np.testing.assert_allclose(found.table[start : start + len(words)], alone, atol=1e-5)
        start += len(words)
