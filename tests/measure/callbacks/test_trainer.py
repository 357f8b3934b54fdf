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
        model, args, train_dataset=texts(), eval_dataset=texts(4),
        callbacks=callback if isinstance(callback, list) else [callback],
    )  # fmt: skip
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


class Breaks(transformers.TrainerCallback):
    """Raises once, at the second step."""

    def __init__(self, error):
        self.error = error

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2 and self.error is not None:
            error, self.error = self.error, None
            raise error


class BreaksInside(torch.nn.Module):
    """Ctrl-C in the midst of the second pass."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return x


@pytest.mark.parametrize("inside", [False, True], ids=["between steps", "in a pass"])
@pytest.mark.parametrize("part", [False, True], ids=["model", "part of it"])
def test_a_model_whose_training_broke_off_is_as_it_was(inside, part, tmp_path):
    model = tiny_model()
    if inside:
        act = model.model.layers[0].mlp
        act.act_fn = torch.nn.Sequential(act.act_fn, BreaksInside())
    callback = sc.TrainerTracker(tmp_path / "tables", LAYERS, every=1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, [callback, Breaks(KeyboardInterrupt())], model)
    called = model.model if part else model
    for _ in range(2):
        called(inputs_embeds=torch.ones(1, 3, 8))
    model(input_ids=torch.ones(1, 3).long(), labels=torch.ones(1, 3).long()).loss.backward()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.warns(sc.TrackingWarning, match="made anew, step-0000001.parquet to step-"):
        train(tmp_path, callback, model)
    assert len(list((tmp_path / "tables").iterdir())) == 5


class Helped(sc.TrainerTracker):
    def on_train_begin(self, args, state, control, **kwargs):
        super().on_train_begin(args, state, control, **kwargs)


def test_a_tracker_that_is_extended_still_tracks(tmp_path):
    train(tmp_path, Helped(tmp_path / "tables", LAYERS), num_train_epochs=2, max_steps=-1)
    table = pd.read_parquet(tmp_path / "tables" / "final.parquet")
    chosen = table.query("layer == 'model.layers.0' and signal == 'gradient' and role == 'input'")
    assert chosen["frequency"].sum() == 2 * (8 * T - 4 * 2)


def test_a_smaller_batch_after_one_too_large_begins_the_tables_anew(tmp_path):
    full = RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
    callback = sc.TrainerTracker(tmp_path / "tables", LAYERS, every=1)
    with pytest.warns(sc.TrackingWarning, match="broke off: its tables in .* are made anew, step-"):
        train(tmp_path, [callback, Breaks(full)], auto_find_batch_size=True)
    tables = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert tables == ["final.parquet", *(f"step-000000{i}.parquet" for i in range(1, 5))]
    final = pd.read_parquet(tmp_path / "tables" / "final.parquet")
    parts = pd.concat([pd.read_parquet(path) for path in (tmp_path / "tables").glob("step-*")])
    assert final["count"].sum() == parts["count"].sum()
    with pytest.raises(sc.InputError, match="tables of another training"):
        train(tmp_path, callback)


@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_made_is_refused_before_training(below, tmp_path):
    (tmp_path / "file").write_text("")
    callback, model = sc.TrainerTracker(tmp_path / "file" / below, LAYERS), tiny_model()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(sc.InputError, match=r"is a file: give a folder|cannot write .*below"):
        train(tmp_path, callback, model, learning_rate=1.0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("every", [1.5, 0, True, "2"])
def test_a_table_comes_every_whole_number_of_steps(every, tmp_path):
    with pytest.raises(sc.InputError, match="every must be a whole number of 1 or more"):
        sc.TrainerTracker(tmp_path, LAYERS, every)


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


SMALL = {"vocab_size": V, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
BERT = {**SMALL, "num_hidden_layers": 1, "bos_token_id": 0, "eos_token_id": 1}
T5 = {"vocab_size": V, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}


@pytest.mark.parametrize(
    ("name", "config", "shifts"),
    [
        ("GPT2LMHeadModel", {"vocab_size": V, "n_embd": 8, "n_layer": 1, "n_head": 2}, True),
        ("BertLMHeadModel", {**BERT, "is_decoder": True}, True),
        ("BertForPreTraining", BERT, None),  # whose loss_function is one that it never calls
        ("BertForTokenClassification", BERT, False),
        ("T5ForConditionalGeneration", T5, False),
    ],
)
def test_models_whose_name_does_not_say_it_tell_by_their_loss(name, config, shifts):
    kind = getattr(transformers, name)
    model = torch.nn.ModuleDict({"inner": kind(kind.config_class(**config))})
    batch = {"input_ids": torch.ones(1, 3).long(), "labels": torch.tensor([[1, 2, 3]])}
    if shifts is None:
        with pytest.raises(sc.InputError, match="shift_labels=True"):
            words_of(batch, model)
    else:
        expected = [[2, 3, -100]] if shifts else [[1, 2, 3]]
        assert words_of(batch, model)["target_ids"].tolist() == expected


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
