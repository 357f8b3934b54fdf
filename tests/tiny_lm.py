"""A tiny tokenizer and tiny random language models, for tests; no network."""

import functools

import torch

TEXT = "The quick brown fox doesn't jump over the lazy dog.\nThen 3.14 naïve foxes jump – over it."
VOCAB = 300


@functools.cache
def byte_level(bos: bool = False):
    """A byte-level BPE tokenizer of 300 pieces; with ``bos`` it puts <s> in front of texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([TEXT] * 20, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def llama(seed: int = 0, positions: int = 64):
    """Two blocks of width 16, MLPs of 32 neurons."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    ids = {"bos_token_id": 0, "eos_token_id": 1}
    config = LlamaConfig(
        vocab_size=VOCAB, max_position_embeddings=positions, **sizes, **heads, **ids
    )
    return LlamaForCausalLM(config)
