"""The recurrent layers of Demeester et al. 2018, §3.

They live in :mod:`sparsecore.models.sparse_rnn`, where the language model of the other papers may
use them too.
"""

from sparsecore.models.sparse_rnn import SparseGRU as SparseGRU
from sparsecore.models.sparse_rnn import SparseLSTM as SparseLSTM
from sparsecore.models.sparse_rnn import SparseRNN as SparseRNN
