"""A causal language model in one call, against windows read one by one with retain_grad."""

import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sparsecore as sc
from sparsecore import InputError
from sparsecore.measure.pieces import Windows, cut
from sparsecore.measure.track_lm import LMTracking, default_layers
from tests.tiny_lm import TEXT, byte_level, llama

pytest.importorskip("transformers")
TEXTS = [TEXT, "", "It jumps.", TEXT[::-1]]
LAYERS = ["model.layers.0", "model.layers.1.mlp.down_proj:input"]


@pytest.fixture(scope="module")
def model():
    return llama()


def track(model, texts=TEXTS, layers=LAYERS, tokenizer=None, **options):
    tokenizer = tokenizer or byte_level()
    return sc.track_lm(model, tokenizer, texts, layers, progress=False, **options)


def hidden(model, ids):
    """Values of LAYERS (T, D) that keep their gradients, and the logits (T, V) of one window."""
    kept = []

    def keep(h):
        h.retain_grad()
        kept.append(h)

    block, down = model.model.layers[0], model.model.layers[1].mlp.down_proj
    hooks = [
        block.register_forward_hook(lambda m, i, o: keep(o)),
        down.register_forward_pre_hook(lambda m, i: keep(i[0])),
    ]
    logits = model(torch.tensor([ids])).logits[0]
    for hook in hooks:
        hook.remove()
    return kept, logits


def naive(model, tokenizer, texts, length, stride):
    """Sums by piece: (layer, signal, role, piece) -> chi values; piece -> surprisals."""
    chis, surprisals = defaultdict(list), defaultdict(list)
    front = len(tokenizer("a").input_ids) - len(tokenizer("a", add_special_tokens=False).input_ids)
    prefix = tokenizer("a").input_ids[:front]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        done, begin = 0, 0
        while done < len(ids):
            end = min(begin + length - front, len(ids))
            kept, logits = hidden(model, prefix + ids[begin:end])
            losses = {}
            for p in range(front + end - begin):
                at = begin + p - front
                new = at >= done or (at == -1 and done == 0)
                if new and 0 <= at + 1 < len(ids):
                    losses[p] = -logits[p].log_softmax(-1)[ids[at + 1]]
                    surprisals[ids[at + 1]].append(losses[p].item())
            if losses:
                sum(losses.values()).backward()
            for layer, values in zip(LAYERS, kept, strict=True):
                for p in range(front + end - begin):
                    at = begin + p - front
                    for role, there in (("input", at), ("target", at + 1)):
                        counts = at >= done if role == "input" else p in losses
                        if counts and 0 <= there < len(ids):
                            for signal, v in (("activation", values), ("gradient", values.grad)):
                                if v is not None and v[0, p].abs().sum() > 0:
                                    chi = (v[0, p].norm() / v[0, p].norm(p=1)).item()
                                    chis[layer, signal, role, ids[there]].append(chi)
            model.zero_grad()
            done, begin = end, begin + (stride or length - front)
    return chis, surprisals


@pytest.mark.parametrize(("bos", "length", "stride"), [(False, 12, None), (True, 12, 5)])
def test_every_number_is_that_of_windows_read_one_by_one(model, bos, length, stride):
    tokenizer = byte_level(bos)
    options = {"length": length, "stride": stride, "words": "pieces", "batch_size": 3}
    table = track(model, tokenizer=tokenizer, **options)
    chis, surprisals = naive(model, tokenizer, TEXTS, length, stride)
    pieces = dict(zip(tokenizer.convert_ids_to_tokens(range(300)), range(300), strict=True))
    keys = {
        (row.layer, row.signal, row.role, pieces[row.word]): row
        for row in table.itertuples()
        if row.count  # pyrefly: ignore[redundant-condition]
    }
    assert keys.keys() == chis.keys()
    for key, values in chis.items():
        assert keys[key].count == len(values)
        assert keys[key].chi == pytest.approx(np.mean(values), rel=1e-4)
        if key[-1] in surprisals:
            assert keys[key].surprisal == pytest.approx(np.mean(surprisals[key[-1]]), rel=1e-4)
        else:
            assert math.isnan(keys[key].surprisal)


def test_the_batch_size_changes_no_number(model):
    a, b = (track(model, length=10, batch_size=size) for size in (1, 7))
    assert (a["count"] == b["count"]).all()
    for column in ("chi", "l1", "surprisal"):
        np.testing.assert_allclose(a[column], b[column], rtol=1e-4)


def test_the_model_is_left_as_it_was(model):
    model.train()
    model.model.layers[1].eval()
    model.lm_head.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    trainable = [p.requires_grad for p in model.parameters()]
    track(model, length=8)
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == trainable
    assert all(p.grad is None for p in model.parameters())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.requires_grad_(True)


def test_the_model_is_left_as_it_was_after_an_error_too(model):
    model.train()
    with pytest.raises(RuntimeError, match="on purpose"):
        track(model, transform=lambda h: (_ for _ in ()).throw(RuntimeError("on purpose")))
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert all(not m._forward_hooks for m in model.modules())


def test_without_gradients_the_activations_are_the_same(model):
    table = track(model)
    activations = table[table["signal"] == "activation"].reset_index(drop=True)
    alone = track(model, gradients=False)
    assert list(alone.columns) == list(table.columns)
    assert activations.equals(alone)


def test_frequency_is_occurrences_and_surprisal_the_sum_over_pieces(model):
    texts = ["naïve foxes naïve", "foxes"]
    every = track(model, texts, words="every")
    pieces = track(model, texts, words="pieces")
    naive_rows = every[every["word"] == "naïve"]
    assert set(naive_rows["frequency"]) == {2}
    assert set(every[every["word"] == "foxes"]["frequency"]) == {2}
    tokenizer = byte_level()
    read = sum(len(tokenizer(text).input_ids) for text in texts)
    assert pieces.drop_duplicates("word")["frequency"].sum() == read
    inputs = naive_rows[(naive_rows["role"] == "input") & (naive_rows["signal"] == "activation")]
    parts = len(tokenizer("naïve").input_ids) + len(tokenizer(" naïve").input_ids)
    assert set(inputs["count"]) == {parts}


@pytest.mark.parametrize("words", ["first", "last"])
def test_one_piece_of_a_word_counts(model, words):
    table = track(model, words=words)
    rows = table[(table["signal"] == "activation") & (table["role"] == "input")]
    assert (rows["count"] == rows["frequency"]).all()


def test_counts_of_a_larger_text_take_the_place_of_frequencies(model):
    table = track(model, counts={"jump": 100, "over": 50})
    frequency = table.drop_duplicates("word").set_index("word")["frequency"]
    assert frequency["jump"] == 100 and frequency["over"] == 50 and frequency["lazy"] == 0


def test_what_the_readme_shows_runs(model, tmp_path, monkeypatch):
    page = Path(__file__).resolve().parents[2] / "README.md"
    (block,) = re.findall(r"^```py\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert "sc.track_lm(" in block
    (tmp_path / "my-text.txt").write_text(f"{TEXT}\n\n{TEXT}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sc, "load_lm", lambda name: (model, byte_level()))
    names: dict = {}
    exec(compile(block, str(page), "exec"), names)
    assert set(names["table"]["layer"]) == {f"model.layers.{i}.mlp.down_proj:input" for i in (0, 1)}


def test_no_layers_means_the_blocks(model):
    table = sc.track_lm(model, byte_level(), TEXT, progress=False, max_tokens=9)
    assert list(table["layer"].unique()) == ["model.layers.0", "model.layers.1"]
    with pytest.raises(InputError, match=r"no nn\.ModuleList of blocks: name layers, such as '0'"):
        default_layers(nn.Sequential(nn.Embedding(3, 2)))


class Recurrent(nn.Module):
    """An LSTM language model that returns plain logits and changes its embeddings in place."""

    def __init__(self, both=False):
        super().__init__()
        self.embedding = nn.Embedding(300, 8)
        self.rnn = nn.LSTM(8, 8, batch_first=True, bidirectional=both)
        self.out = nn.Linear(16 if both else 8, 300)

    def forward(self, ids):
        x = self.embedding(ids)
        x *= 2
        return self.out(self.rnn(x)[0])


def test_any_module_that_gives_logits_will_do():
    torch.manual_seed(0)
    table = track(Recurrent(), layers=["embedding", "rnn"], length=16)
    got = table.groupby(["layer", "signal"])["count"].sum()
    assert (got > 0).all() and len(got) == 4


def test_a_model_that_is_not_causal_is_refused():
    torch.manual_seed(0)
    with pytest.raises(InputError, match="not causal: what it says of a word changes"):
        track(Recurrent(both=True), layers=["rnn"])


def test_tiny_masked_models_and_encoder_decoders_are_refused():
    from transformers import BertConfig, BertForMaskedLM, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    bert = BertForMaskedLM(BertConfig(vocab_size=300, intermediate_size=24, **small))
    with pytest.raises(InputError, match="not causal"):
        track(bert, layers=["bert.encoder.layer.0"])
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    with pytest.raises(InputError, match="T5ForConditionalGeneration has an encoder"):
        track(T5ForConditionalGeneration(T5Config(vocab_size=300, **sizes)), layers=["encoder"])


def test_layers_that_put_their_positions_in_one_axis_count_for_their_words():
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 24}
    opt = OPTForCausalLM(OPTConfig(vocab_size=300, max_position_embeddings=32, **small)).eval()
    block = "model.decoder.layers.0"
    layers = [f"{block}.final_layer_norm:input", f"{block}.final_layer_norm", f"{block}.fc2:input"]
    table = track(opt, [TEXT], layers, words="pieces", batch_size=1, length=16)
    ids = torch.tensor([byte_level()(TEXT).input_ids[:16]])
    seen = []
    hook = opt.model.decoder.layers[0].fc2.register_forward_pre_hook(lambda m, x: seen.append(x[0]))
    opt(ids)
    hook.remove()
    once = [i for i in ids[0].tolist() if byte_level()(TEXT).input_ids.count(i) == 1]
    by = table.query("signal == 'activation' and role == 'input'").set_index(["layer", "word"])
    for i in once:
        expected = sc.chi(seen[0][ids[0].tolist().index(i)]).item()
        piece = byte_level().convert_ids_to_tokens(i)
        assert by["chi"][layers[2], piece] == pytest.approx(expected, rel=1e-5)
    assert len(once) > 3 and set(table["layer"]) == set(layers)


def test_a_type_may_be_given_by_name_and_modes_outside_do_not_matter(model):
    with torch.inference_mode():
        table = track(model, dtype="bfloat16")
        made = llama()
    with pytest.raises(InputError, match="made in inference mode"):
        track(made)
    assert len(track(made, gradients=False))
    assert table.equals(track(model, dtype=torch.bfloat16))
    assert set(table["signal"]) == {"activation", "gradient"}


def test_a_model_without_logits_is_refused(model):
    with pytest.raises(InputError, match=r"without logits \(2, 8, V\)"):
        track(model.model, layers=["layers.0"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": "frist"}, "did you mean 'first'"),
        ({"length": 65}, "length must be at most 64"),
        ({"length": 0}, "length must be above 0"),
        ({"stride": 65}, "stride must be from 1 to length=64"),
        ({"stride": 2.5}, "stride must be a whole number"),
        ({"max_tokens": -5}, "max_tokens must be a whole number of 1 or more, not -5"),
        ({"max_tokens": 2.5}, "max_tokens must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number of 1 or more, not 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"texts": [TEXT, "a \ud83d b"]}, "text number 1 has half a surrogate .* character 2"),
        ({"texts": ["", ""]}, "no text to read"),
        ({"texts": [3]}, "number 0 is 3"),
        ({"texts": {"a": TEXT}}, "strings in a list"),
        ({"texts": Path("text.txt")}, "strings in a list"),
        ({"length": "long"}, "length must be a whole number"),
        ({"length": 8.0}, "length must be a whole number"),
        ({"dtype": "float31"}, "dtype must be 'float32'"),
        ({"device": "gpu"}, "device 'gpu' cannot be used"),
        ({"layers": ["*.mlp.down_prog:input"]}, r"did you mean '\*.mlp.down_proj'"),
    ],
)
def test_bad_input_is_one_line(model, options, message):
    with pytest.raises(InputError, match=message):
        track(model, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": iter(["model.layers.00"])}, "model.layers.0"),
        ({"device": "cpuu"}, "cpuu"),
        ({"dtype": "float31"}, "float31"),
    ],
)
def test_options_are_checked_before_a_text_is_read(model, options, message):
    def texts():
        raise AssertionError("a text was read")
        yield ""

    with pytest.raises(InputError, match=message):
        track(model, texts(), **options)


def test_whole_numbers_may_be_numpys(model):
    options = {"length": 8, "stride": 5, "batch_size": 3, "max_tokens": 20}
    found = track(model, **{name: np.int64(value) for name, value in options.items()})
    assert found.equals(track(model, **options))


def test_a_tracking_goes_on_where_another_stopped(model):
    windows = Windows(cut(byte_level(), TEXTS, "every"), "every", 10, 4, 2)
    with LMTracking(model, windows, LAYERS, True) as whole:
        whole.run(progress=False)
        expected = whole.table()
    with LMTracking(model, windows, LAYERS, True) as part:
        for _ in range(3):
            part.step()
        state = part.state_dict()
        expected_at = part.at
        while not part.finished:  # what comes later is not in the state
            part.step()
    with LMTracking(model, windows, LAYERS, True) as rest:
        rest.load_state_dict(state)
        assert rest.at == expected_at and not rest.finished
        rest.run(progress=False)
        assert rest.table().equals(expected)
