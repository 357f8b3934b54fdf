"""Loading a causal language model: by folder, GGUF file, package or name; else one line why not."""

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import sparsecore as sc
from sparsecore import InputError
from sparsecore.data import causal_lm
from sparsecore.data.causal_lm import lm_content, locate_lm
from tests.tiny_lm import TEXT, VOCAB, byte_level, llama

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    llama().save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return folder


def test_a_folder_gives_the_model_in_eval_mode_and_its_tokenizer(saved):
    model, tokenizer = sc.load_lm(saved)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    assert not model.training
    assert torch.equal(model(ids).logits, llama().eval()(ids).logits)
    assert tokenizer.decode(ids[0]) == TEXT
    assert sc.load_lm(str(saved), dtype="bfloat16")[0].dtype is torch.bfloat16


def test_content_changes_with_the_weights(saved, tmp_path):
    llama(seed=1).save_pretrained(tmp_path)
    byte_level().save_pretrained(tmp_path)
    assert lm_content(saved) == lm_content(str(saved)) != lm_content(tmp_path)


def refused(name, message, **options):
    with pytest.raises(InputError, match=message) as caught:
        sc.load_lm(name, **options)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_had_is_refused_in_one_line(saved, tmp_path, monkeypatch):
    refused(saved, "is on this machine: revision='step1' is for the hub", revision="step1")
    refused(saved, "dtype must be 'float32'", dtype="float31")
    refused(tmp_path / "no.gguf", "no.gguf does not exist")
    refused("./nowhere", "nowhere does not exist")
    refused(tmp_path, "has neither a config.json nor one .gguf file, but 0")
    (tmp_path / "text.txt").write_text("text", encoding="utf-8")
    refused(tmp_path / "text.txt", "neither a folder nor a .gguf file")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("nobody/no-such-model", "nobody/no-such-model cannot be had: ")


def test_what_is_no_causal_model_is_refused(saved, tmp_path):
    from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    bert, t5, bare = tmp_path / "bert", tmp_path / "t5", tmp_path / "bare"
    BertModel(BertConfig(vocab_size=VOCAB, intermediate_size=8, **small)).save_pretrained(bert)
    byte_level().save_pretrained(bert)
    refused(bert, "lacks weights, so that it is not a causal one")
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5ForConditionalGeneration(T5Config(vocab_size=VOCAB, **sizes)).save_pretrained(t5)
    refused(t5, "t5 has an encoder and is not a causal model")
    llama().save_pretrained(bare)
    refused(bare, "bare cannot be had")  # no tokenizer


def test_an_installed_package_with_one_gguf_file_has_a_name(tmp_path, monkeypatch):
    @dataclass
    class Listed:
        path: str

        @property
        def suffix(self):
            return Path(self.path).suffix

        def locate(self):
            return tmp_path / self.path

    def files(name):
        if name != "llm-tiny":
            raise importlib.metadata.PackageNotFoundError(name)
        return [Listed("llm_tiny/__init__.py"), Listed("llm_tiny/tiny.gguf")]

    monkeypatch.setattr(importlib.metadata, "files", files)
    monkeypatch.chdir(tmp_path)
    assert locate_lm("llm-tiny") == (str(tmp_path / "llm_tiny"), "tiny.gguf")
    assert locate_lm("gpt2") == ("gpt2", None)


def test_a_gguf_file_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")

    def missing(extra, *packages):
        raise InputError(f"this needs {packages[0]}: pip install {extra}")

    monkeypatch.setattr(causal_lm, "check_installed", missing)
    refused(tmp_path / "tiny.gguf", "this needs gguf: pip install lm")


def test_a_gguf_file_is_expanded(tmp_path):
    gguf = pytest.importorskip("gguf")
    model, tokenizer = llama(), byte_level()
    path = tmp_path / "tiny.gguf"
    write_gguf(gguf, path, model, tokenizer)
    loaded, words = sc.load_lm(path)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    torch.testing.assert_close(loaded(ids).logits, model.eval()(ids).logits)
    assert words(TEXT).input_ids == ids[0].tolist()


def write_gguf(gguf, path, model, tokenizer):
    """A Llama model in float32 with its byte-level tokenizer."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    tokens = tokenizer.convert_ids_to_tokens(range(VOCAB))
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * (VOCAB - 2)])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, value in model.state_dict().items():
        array = value.numpy()
        for part, number in heads.items():
            if part in name:  # llama.cpp has the halves of a head's rotation side by side
                halves = array.reshape(number, 2, -1, array.shape[1])
                array = halves.swapaxes(1, 2).reshape(array.shape)
        stem, _, suffix = name.rpartition(".")
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
