"""The tracker in real trainings by ``transformers.Trainer``, against tensors caught by hand."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch

import sparsecore as sc
from sparsecore.measure.callbacks.training_tables import words_of
from tests.training.processes import FORK, launch

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="the Trainer needs accelerate, which is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::FutureWarning")

V, T = 13, 6
LAYERS = ["model.layers.0", "*.down_proj:input"]


def tiny_model() -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=V,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16,
        pad_token_id=0,
    )
    return transformers.LlamaForCausalLM(config)


def texts(n: int = 8) -> list[dict[str, torch.Tensor]]:
    ids = torch.randint(1, V, (n, T), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[::2, -2:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, 0] = -100
    return [
        {"input_ids": i, "attention_mask": m, "labels": y}
        for i, m, y in zip(ids, mask, labels, strict=True)
    ]


def train(folder, callback, model=None, resume=None, **options):
    settings = {
        "per_device_train_batch_size": 2,
        "max_steps": 4,
        "learning_rate": 0.0,
        "report_to": "none",
        "use_cpu": True,
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "logging_strategy": "no",
        **options,
    }
    args = transformers.TrainingArguments(str(folder / "out"), **settings)
    model = tiny_model() if model is None else model
    trainer = transformers.Trainer(
        model, args, train_dataset=texts(), eval_dataset=texts(4), callbacks=[callback]
    )
    trainer.train(resume_from_checkpoint=resume)
    return model


def caught_by_hand() -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Of all 8 texts: vectors, gradients, input and target ids (-100: none), by position."""
    batch = {key: torch.stack([text[key] for text in texts()]) for key in texts()[0]}
    model, kept = tiny_model(), {}

    def keep(name, tensor):
        tensor.retain_grad()
        kept[name] = tensor

    blocks = model.model.layers
    blocks[0].register_forward_hook(
        lambda _m, _i, out: keep("model.layers.0", out[0] if isinstance(out, tuple) else out)
    )
    for i, block in enumerate(blocks):
        name = f"model.layers.{i}.mlp.down_proj:input"
        block.mlp.down_proj.register_forward_pre_hook(lambda _m, x, n=name: keep(n, x[0]))
    model(**batch).loss.backward()
    inputs = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    targets = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=-100)
    targets = targets.masked_fill(batch["attention_mask"] == 0, -100)
    return {name: (x.detach(), x.grad, inputs, targets) for name, x in kept.items()}


def mean_by_word(values: torch.Tensor, ids: torch.Tensor) -> pd.Series:
    known = (ids >= 0) & values.isfinite()
    frame = pd.DataFrame({"word": ids[known], "chi": values[known].double()})
    return frame.groupby("word")["chi"].mean()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One epoch of 8 texts with evaluations between; the weights do not move."""
    folder = tmp_path_factory.mktemp("run")
    callback = sc.TrainerTracker(folder / "tables", layers=LAYERS, every=2)
    train(folder, callback, eval_strategy="steps", eval_steps=1)
    return folder / "tables"


def test_values_equal_those_of_tensors_caught_by_hand(run):
    table = pd.read_parquet(run / "final.parquet")
    by = table.set_index(["layer", "signal", "role", "word"])["chi"]
    caught = caught_by_hand()
    assert set(table["layer"]) == caught.keys()
    for layer, (vectors, gradients, inputs, targets) in caught.items():
        for signal, of in (("activation", vectors), ("gradient", gradients)):
            for role, ids in (("input", inputs), ("target", targets)):
                # steps have other gradients than one batch of all texts, by a factor only
                expected = mean_by_word(sc.chi(of), ids)
                found = by[layer, signal, role].reindex(expected.index)
                pd.testing.assert_series_equal(found, expected, rtol=1e-4)


def test_evaluations_between_steps_do_not_count(run):
    table = pd.read_parquet(run / "final.parquet")
    layer = table.query("layer == 'model.layers.0' and signal == 'activation'")
    seen = layer.groupby("role")["frequency"].sum()
    assert seen["input"] == 8 * T - 4 * 2
    assert seen["target"] == 4 * 5 + 4 * 3


def test_tables_of_steps_add_up_to_the_final_one(run):
    assert sorted(path.name for path in run.iterdir()) == [
        "final.parquet",
        "step-0000002.parquet",
        "step-0000004.parquet",
    ]
    parts = pd.concat([pd.read_parquet(path) for path in sorted(run.glob("step-*"))])
    final = pd.read_parquet(run / "final.parquet")
    keys = ["word", "layer", "signal", "role"]
    pd.testing.assert_series_equal(
        parts.groupby(keys)["count"].sum(), final.groupby(keys)["count"].sum()
    )


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 1},
        {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
        {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
    ],
    ids=["accumulated", "checkpointed", "checkpointed reentrant"],
)
def test_accumulation_and_checkpointing_change_no_chi(run, tmp_path, options):
    train(tmp_path, sc.TrainerTracker(tmp_path / "tables", LAYERS), **options)
    keys = ["layer", "signal", "role", "word"]
    found, expected = (
        pd.read_parquet(path / "final.parquet").sort_values(keys, ignore_index=True)
        for path in (tmp_path / "tables", run)
    )
    pd.testing.assert_frame_equal(
        found[[*keys, "frequency", "chi", "count"]],
        expected[[*keys, "frequency", "chi", "count"]],
        rtol=1e-4,
    )


def test_resumed_training_writes_the_tables_of_one_that_was_not_interrupted(tmp_path):
    options = {"learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 3}
    train(tmp_path, sc.TrainerTracker(tmp_path / "tables", LAYERS, every=2), **options)
    written = {path.name: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    for name in ("final.parquet", "step-0000004.parquet"):
        (tmp_path / "tables" / name).unlink()
    tracker = sc.TrainerTracker(tmp_path / "tables", LAYERS, every=2)
    train(tmp_path, tracker, resume=str(tmp_path / "out" / "checkpoint-3"), **options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "tables").iterdir()} == written


def test_a_checkpoint_without_sums_is_said(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2}
    model = train(tmp_path, transformers.TrainerCallback(), **options)
    with pytest.warns(sc.TrackingWarning, match="no sums were saved"):
        train(
            tmp_path,
            sc.TrainerTracker(tmp_path / "tables", LAYERS),
            model,
            resume=str(tmp_path / "out" / "checkpoint-2"),
            max_steps=3,
        )


def test_hooks_are_gone_after_training_and_copies_are_not_tracked(tmp_path):
    copies = []

    class Copy(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            copies.append(copy.deepcopy(model))

    tracker = sc.TrainerTracker(tmp_path / "tables", LAYERS)
    model = tiny_model()
    args = transformers.TrainingArguments(
        str(tmp_path), max_steps=1, report_to="none", use_cpu=True, disable_tqdm=True,
        dataloader_pin_memory=False, save_strategy="no",
    )  # fmt: skip
    transformers.Trainer(model, args, train_dataset=texts(), callbacks=[tracker, Copy()]).train()
    copies[0](input_ids=torch.ones(1, 3, dtype=torch.long))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("left", ["step-0000002.parquet", "final.parquet"])
def test_a_folder_with_tables_of_another_training_is_refused(left, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / left).write_bytes(b"")
    with pytest.raises(sc.InputError, match=f"tables of another training, such as {left}"):
        train(tmp_path, sc.TrainerTracker(tmp_path / "tables", LAYERS))


def test_words_of_masked_models_stay_where_they_are():
    ids = torch.tensor([[1, 2, 3]])
    batch = {"input_ids": ids, "labels": torch.tensor([[-100, 5, -100]])}
    config = transformers.BertConfig(
        vocab_size=V, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
    )  # fmt: skip
    found = words_of(batch, transformers.BertForMaskedLM(config))
    assert found["target_ids"].tolist() == [[-100, 5, -100]]
    assert words_of(batch, tiny_model())["target_ids"].tolist() == [[5, -100, -100]]
    with pytest.raises(sc.InputError, match="shift_labels=True"):
        words_of(batch, torch.nn.Linear(2, 2))


def test_labels_of_another_shape_are_no_targets():
    batch = {"input_ids": torch.ones(4, 3, dtype=torch.long), "labels": torch.zeros(4)}
    assert set(words_of(batch, torch.nn.Linear(2, 2))) == {"input_ids"}


def test_a_batch_without_ids_is_refused_by_its_keys():
    with pytest.raises(sc.InputError, match="no input_ids, but pixel_values"):
        words_of({"pixel_values": torch.ones(2, 3)}, torch.nn.Linear(2, 2))


def test_two_processes_write_the_tables_of_one_with_their_batches(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    tracker = sc.TrainerTracker(one / "tables", LAYERS, every=1)
    train(one, tracker, per_device_train_batch_size=4, **options)

    def each():
        tracker = sc.TrainerTracker(two / "tables", LAYERS, every=1)
        train(two, tracker, ddp_backend="gloo", **options)
        if torch.distributed.get_rank() == 0:  # what all have seen is saved
            (two / "tables" / "final.parquet").unlink()
        torch.distributed.barrier()
        tracker = sc.TrainerTracker(two / "tables", LAYERS, every=1)
        train(two, tracker, resume=str(two / "out" / "checkpoint-2"), ddp_backend="gloo", **options)

    assert launch(2, each, context=FORK) == [0, 0]
    names = sorted(path.name for path in (one / "tables").iterdir())
    assert sorted(path.name for path in (two / "tables").iterdir()) == names
    for name in names:
        found, expected = (pd.read_parquet(path / "tables" / name) for path in (two, one))
        pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
