"""Networks of a language model: none looks ahead, and recurrent ones go on from their state."""

import pytest
import torch

from sparsecore.models.language_model import LSTMLanguageModel, detach
from sparsecore.models.networks import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_neither_look_ahead_nor_mix_texts(name):
    torch.manual_seed(0)
    model = LSTMLanguageModel(20, 8, 8, rnn=NETWORKS[name]).eval()
    text = torch.randint(20, (7, 3))
    before, _ = model(text)
    text[5:, 1] = (text[5:, 1] + 1) % 20
    after, _ = model(text)
    changed = (before != after).any(-1)
    assert not changed[:5].any() and not changed[:, [0, 2]].any()
    assert changed[5:, 1].all()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "transformer"])
def test_recurrent_networks_go_on_from_their_state(name):
    torch.manual_seed(0)
    model = LSTMLanguageModel(20, 8, 8, rnn=NETWORKS[name]).eval()
    text = torch.randint(20, (7, 3))
    whole, _ = model(text)
    first, state = model(text[:4])
    rest, _ = model(text[4:], detach(state))
    assert torch.allclose(torch.cat([first, rest]), whole, atol=1e-6)
