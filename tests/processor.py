"""What not every processor can do: tests that need it are skipped with the reason."""

import pytest
import torch

from sparsecore.ops.autocast import cpu_lstm_runs_in

needs_bf16 = pytest.mark.skipif(
    not cpu_lstm_runs_in(torch.bfloat16),
    reason="the LSTM of this processor has no bfloat16 (AVX-512 or AMX)",
)
