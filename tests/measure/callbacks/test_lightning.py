"""The tracker in real trainings by Lightning, against tensors caught by hand."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import sparsecore as sc
from tests.training.processes import FORK, launch

lightning = pytest.importorskip("pytorch_lightning", reason="Lightning is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

V, T, D = 11, 5, 6


class LanguageModel(lightning.LightningModule):
    """An LSTM on two texts at once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.ModuleDict(
            {
                "embedding": nn.Embedding(V, D),
                "lstm": nn.LSTM(D, D, batch_first=True),
                "out": nn.Linear(D, V),
            }
        )

    def forward(self, ids: Tensor) -> Tensor:
        h, _ = self.model["lstm"](self.model["embedding"](ids))
        return self.model["out"](h)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self(batch[0]).flatten(0, 1), batch[1].flatten())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def batches(n: int = 4) -> list[tuple[Tensor, Tensor]]:
    ids = torch.randint(V, (n, 2, T + 1), generator=torch.Generator().manual_seed(1))
    return [(x[:, :-1], x[:, 1:]) for x in ids]


def train(folder, callback, module=None, resume=None, **options):
    settings = {"max_steps": 4, "val_check_interval": 1, "enable_checkpointing": False, **options}
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[callback, *settings.pop("more", ())],  # pyrefly: ignore[not-iterable]
        **settings,
    )
    data = torch.utils.data.DataLoader(batches(), batch_size=None)
    module = LanguageModel() if module is None else module
    trainer.fit(module, data, data, ckpt_path=resume, weights_only=False if resume else None)
    return module


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four steps with a validation after each; the weights do not move."""
    folder = tmp_path_factory.mktemp("run") / "tables"
    train(folder.parent, sc.LightningTracker(folder, ["model.lstm", "model.out:input"], every=2))
    return folder


def test_values_equal_those_of_tensors_caught_by_hand(run):
    table, model = pd.read_parquet(run / "final.parquet"), LanguageModel()
    rows = []
    for inputs, targets in batches():
        kept = []

        def keep(_module, _inputs, output, kept=kept):
            output[0].retain_grad()
            kept.append(output[0])

        handle = model.model["lstm"].register_forward_hook(keep)
        model.loss((inputs, targets)).backward()
        handle.remove()
        for signal, vectors in (("activation", kept[0].detach()), ("gradient", kept[0].grad)):
            for role, ids in (("input", inputs), ("target", targets)):
                for word, chi in zip(ids.flatten(), sc.chi(vectors).flatten(), strict=True):
                    rows.append((signal, role, int(word), float(chi)))
    keys = ["signal", "role", "word"]
    expected = pd.DataFrame(rows, columns=[*keys, "chi"]).groupby(keys)["chi"].mean()
    for layer in ("model.lstm", "model.out:input"):
        found = table[table["layer"] == layer].set_index(keys)["chi"].sort_index()
        pd.testing.assert_series_equal(found, expected, rtol=1e-5)


def test_validation_does_not_count(run):
    table = pd.read_parquet(run / "final.parquet")
    seen = table.query("layer == 'model.lstm' and signal == 'activation' and role == 'input'")
    assert seen["frequency"].sum() == 4 * 2 * T


def test_every_two_steps_a_table_with_what_came_since(run):
    parts = [pd.read_parquet(run / f"step-000000{step}.parquet") for step in (2, 4)]
    chosen = "layer == 'model.lstm' and signal == 'gradient' and role == 'target'"
    assert [part.query(chosen)["frequency"].sum() for part in parts] == [2 * 2 * T, 2 * 2 * T]


def test_accumulated_batches_count_each(run, tmp_path):
    callback = sc.LightningTracker(tmp_path / "t", ["model.lstm", "model.out:input"], every=1)
    train(tmp_path, callback, max_steps=2, accumulate_grad_batches=2)
    assert sorted(p.name for p in (tmp_path / "t").glob("step-*")) == [
        "step-0000001.parquet",
        "step-0000002.parquet",
    ]
    found, expected = (pd.read_parquet(p / "final.parquet") for p in (tmp_path / "t", run))
    pd.testing.assert_series_equal(found["chi"], expected["chi"], rtol=1e-5)


def test_resumed_training_goes_on_with_the_sums_of_the_checkpoint(tmp_path):
    layers, options = ["model.lstm"], {"val_check_interval": None}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(tmp_path, sc.LightningTracker(whole, layers, every=3), max_steps=8, **options)
    saver = lightning.callbacks.ModelCheckpoint(tmp_path, save_on_train_epoch_end=True)
    more = {"more": [saver], "enable_checkpointing": True}
    train(tmp_path, sc.LightningTracker(parts, layers, every=3), max_epochs=1, **more, **options)
    (checkpoint,) = tmp_path.glob("*.ckpt")
    tracker = sc.LightningTracker(parts, layers, every=3)
    train(tmp_path, tracker, resume=checkpoint, max_steps=8, **options)
    files = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert sorted(files) == ["final.parquet", "step-0000003.parquet", "step-0000006.parquet"]
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == files


class Twice(LanguageModel):
    """Its LSTM reads its own output once more; the tracked model is called."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _Twice(self.model)

    def forward(self, ids: Tensor) -> Tensor:
        return self.net(ids)


class _Twice(nn.Module):
    def __init__(self, parts: nn.ModuleDict) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, ids: Tensor) -> Tensor:
        h = self.parts["embedding"](ids)
        for _ in range(2):
            h = self.parts["lstm"](h)[0]
        return self.parts["out"](h)


def test_a_named_model_may_run_its_layers_twice(tmp_path):
    tracker = sc.LightningTracker(tmp_path / "t", ["parts.lstm"], model="net")
    train(tmp_path, tracker, Twice(), max_steps=1)
    table = pd.read_parquet(tmp_path / "t" / "final.parquet")
    assert set(table["layer"]) == {"parts.lstm", "parts.lstm#2"}
    with pytest.raises(sc.InputError, match="model='nett' is not a module of Twice"):
        train(tmp_path, sc.LightningTracker(tmp_path / "u", ["x"], model="nett"), Twice())


def test_hooks_are_gone_after_training_that_failed(tmp_path):
    class Fails(LanguageModel):
        def training_step(self, batch, batch_idx):
            raise ArithmeticError("no loss")

    module = Fails()
    with pytest.raises(ArithmeticError):
        train(tmp_path, sc.LightningTracker(tmp_path / "t", ["model.lstm"]), module)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    module, tracker = LanguageModel(), sc.LightningTracker(tmp_path / "file", ["model.lstm"])
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(sc.InputError, match="is a file: give a folder"):
        train(tmp_path, tracker, module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_two_processes_write_the_tables_of_one_with_their_batches(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    layers, options = ["model.lstm"], {"max_steps": 2, "val_check_interval": None}
    train(tmp_path, sc.LightningTracker(one, layers, every=1), accumulate_grad_batches=2, **options)

    def each():
        strategy = lightning.strategies.DDPStrategy(process_group_backend="gloo")
        tracker = sc.LightningTracker(two, layers, every=1)
        train(tmp_path, tracker, strategy=strategy, devices=2, **options)

    assert launch(2, each, context=FORK) == [0, 0]
    names = sorted(path.name for path in one.iterdir())
    assert sorted(path.name for path in two.iterdir()) == names
    for name in names:
        found, expected = (pd.read_parquet(path / name) for path in (two, one))
        pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
