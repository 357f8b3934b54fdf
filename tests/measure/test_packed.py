"""Square batches of padded ids beside layers that return packed sequences."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import sparsecore as sc

N, V, D = 4, 30, 6
LENGTHS = torch.tensor([4, 2, 3, 1])
INSIDE = torch.arange(N) < LENGTHS[:, None]
IDS = torch.arange(1, N * N + 1).view(N, N)
PADDED = IDS.masked_fill(~INSIDE, 0)


class Packs(nn.Module):
    """An LSTM without batch_first, as few write it, whose input is packed either way."""

    def __init__(self, by_batch):
        super().__init__()
        torch.manual_seed(0)
        self.by_batch = by_batch
        self.embedding, self.lstm = nn.Embedding(V, D), nn.LSTM(D, D)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(
            self.embedding(ids), lengths, self.by_batch, enforce_sorted=False
        )
        return self.lstm(packed)[0]


def chi_of_words(model, ids, lengths):
    ids = ids if model.by_batch else ids.t()
    hidden = pad_packed_sequence(model(ids, lengths), True)[0].detach()
    inside = torch.arange(hidden.shape[1]) < lengths[:, None]
    by_text = (ids if model.by_batch else ids.t())[:, : hidden.shape[1]]
    return dict(zip(by_text[inside].tolist(), sc.chi(hidden)[inside].tolist(), strict=True))


def tracked(model, ids, lengths=LENGTHS, before=None, **about):
    """The table's chi by word; ids are (B, T), and go in as the model has them."""
    with sc.track(model, ["lstm"], gradients=False) as tracker:
        for given, n, more in ([before] if before else []) + [(ids, lengths, about)]:
            turned = [x if model.by_batch else x.t() for x in (given, *more.values())]
            tracker.words(turned[0], **dict(zip(more, turned[1:], strict=True)))
            model(turned[0], n)
    return tracker.table().set_index("word")["chi"].to_dict()


@pytest.fixture(params=[True, False], ids=["B T", "T B"])
def model(request):
    return Packs(request.param)


@pytest.mark.parametrize(
    "about",
    [{"attention_mask": INSIDE.long()}, {"target_ids": IDS.masked_fill(~INSIDE, -100)}, None],
    ids=["mask", "labels", "padding"],
)
def test_padding_tells_how_a_square_batch_is_laid_out(model, about):
    ids = PADDED if about is None else IDS
    with sc.track(model, ["lstm"], gradients=False) as tracker:
        turned = {k: x if model.by_batch else x.t() for k, x in (about or {}).items()}
        given = ids if model.by_batch else ids.t()
        tracker.words(given, **turned)
        model(given, LENGTHS)
    rows = tracker.table().query("role == 'input'").set_index("word")["chi"]
    assert rows.to_dict() == pytest.approx(chi_of_words(model, ids, LENGTHS), rel=1e-5)


def test_a_batch_that_is_not_square_tells_of_those_after_it(model):
    first = (torch.arange(N * N + 1, N * N + 7).view(2, 3), torch.tensor([3, 2]), {})
    table = tracked(model, IDS, before=first)
    expected = chi_of_words(model, *first[:2]) | chi_of_words(model, IDS, LENGTHS)
    assert table == pytest.approx(expected, rel=1e-5)


def test_a_padded_square_batch_tells_of_full_ones_after_it(model):
    full = torch.full((N,), N)
    table = tracked(model, IDS + N * N - 3, full, before=(PADDED, LENGTHS, {}))
    assert table.keys() == set(PADDED[INSIDE].tolist()) | set((IDS + N * N - 3).flatten().tolist())
    expected = chi_of_words(model, IDS + N * N - 3, full)
    alone = {word: chi for word, chi in expected.items() if word > N * N}
    assert {word: table[word] for word in alone} == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("lengths", [LENGTHS, torch.full((N,), N)], ids=["padded", "full"])
def test_a_square_batch_of_which_nothing_tells_is_refused(model, lengths):
    with pytest.raises(sc.InputError, match=r"\(B, T\) or \(T, B\): give packed ids .* an atten"):
        tracked(model, IDS, lengths)


def test_one_word_is_the_same_both_ways(model):
    assert tracked(model, IDS[:1, :1], torch.tensor([1])).keys() == {1}
