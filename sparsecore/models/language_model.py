"""The LSTM language model of Saphra & Lopez 2019 (Fig. 1).

    embedding h^e -> dropout -> LSTM h^1 -> dropout -> LSTM h^2 -> dropout -> linear -> softmax

Every layer is a module of its own, so that each signal can be tapped: ``embedding``, ``lstm1``,
``lstm2`` before their dropout, ``embedding_dropout``, ``lstm1_dropout``, ``lstm2_dropout`` after.
Axes: T time, B batch, E embedding, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sparsecore.errors import InputError
from sparsecore.ops.linear_cross_entropy import linear_cross_entropy

State = list[tuple[Tensor, Tensor]]  # one (h, c) a layer, each (1, B, H)


class LSTMLanguageModel(nn.Module):
    """An LSTM language model over a closed vocabulary.

    Args:
        num_words: V.
        embedding_size: E.
        hidden_size: H, of every recurrent layer.
        num_layers: recurrent layers, each a module ``lstm1``, ``lstm2``, ….
        dropout: on the embedding, between the layers and before the output.
        rnn: makes a recurrent layer from (input_size, hidden_size); anything that is called as
            ``nn.LSTM`` with one layer will do.

    Embedding and output weights start as U(±0.1), the output bias as 0, the recurrent layers as
    PyTorch makes them.
    """

    def __init__(
        self,
        num_words: int,
        embedding_size: int = 200,
        hidden_size: int = 200,
        num_layers: int = 2,
        dropout: float = 0.2,
        rnn: Callable[[int, int], nn.Module] = nn.LSTM,
    ) -> None:
        super().__init__()
        if num_words < 2:
            raise InputError(f"a language model needs at least 2 words, got {num_words}")
        self.num_layers = num_layers
        self.embedding = nn.Embedding(num_words, embedding_size)
        self.embedding_dropout = nn.Dropout(dropout)
        for layer in range(1, num_layers + 1):
            width = embedding_size if layer == 1 else hidden_size
            self.add_module(f"lstm{layer}", rnn(width, hidden_size))
            self.add_module(f"lstm{layer}_dropout", nn.Dropout(dropout))
        self.decoder = nn.Linear(hidden_size, num_words)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    @property
    def signals(self) -> list[str]:
        """Names of the tapped layers, bottom to top: embedding, lstm1, …"""
        return ["embedding", *(f"lstm{layer}" for layer in range(1, self.num_layers + 1))]

    def forward(self, input_ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(T, B) ids -> (T, B, H) vectors ready for the output layer, and the final state."""
        h = self.embedding_dropout(self.embedding(input_ids))  # T B E
        final: State = []
        for layer in range(1, self.num_layers + 1):
            lstm = self.get_submodule(f"lstm{layer}")
            h, carried = lstm(h, None if state is None else state[layer - 1])  # T B H
            h = self.get_submodule(f"lstm{layer}_dropout")(h)
            final.append(carried)
        return h, final

    def loss(self, hidden: Tensor, target_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean cross entropy in nats, and chi and ℓ1 (T, B) of each softmax gradient."""
        loss, chi, l1 = linear_cross_entropy(
            hidden.flatten(0, -2), self.decoder.weight, self.decoder.bias, target_ids.flatten()
        )
        return loss, chi.view_as(target_ids), l1.view_as(target_ids)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., H) -> (..., V) unnormalised scores."""
        return self.decoder(hidden)


def detach(state: Any) -> Any:
    """The same numbers, cut from the graph (truncated backpropagation through time).

    ``state``: what a model gives back: a tensor, tuples or lists of them, or None.
    """
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.detach()
    return type(state)(detach(part) for part in state)


def num_parameters(module: nn.Module) -> int:
    """Trainable numbers in ``module``."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
