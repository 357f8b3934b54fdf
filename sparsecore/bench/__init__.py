"""Each hot path of the library beside what a user would pick instead: ``sparsecore bench``."""

SUITES = {
    "lm": "a training step of the language model, with every statistic and without",
    "tracker": "a training step of a Transformer with sc.track on 16 layers, and on all",
    "lstm": "sparse LSTM layers beside the dense ones they stand for",
    "embedding": "a step of sparse embeddings beside dense, padded, masked and adaptive ones",
    "output": "the loss of an output tied to them, beside a dense tie and adaptive softmax",
    "rational": "the recurrence of weighted automata, for short and long texts",
    "compiled": "both recurrences compiled, as CUDA graphs, and by FlashRNN's kernels",
    "processes": "the training step of the language model, by one process and by two",
    "sweep": "runs in turn and on two workers",
    "data": "text to word ids, parts of speech, the harvest of the embedded corpus",
    "growth": "time and memory against every size, up to 200 million tokens (not by default)",
}
DEFAULT = tuple(name for name in SUITES if name != "growth")
