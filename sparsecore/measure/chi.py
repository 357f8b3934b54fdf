"""Concentration of a vector: chi and its relatives (Saphra & Lopez 2019, §2).

    chi(v) = ||v||2 / ||v||1            in [1/sqrt(D), 1]

1 for a vector with a single non-zero entry, 1/sqrt(D) for one whose D entries have equal
magnitude. All functions ignore the scale, the signs and the order of the entries, are
differentiable, and work in float32 at least (half precision is widened first).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sparsecore.errors import InputError
from sparsecore.ops.compilers import is_traced

SPARSE = {
    torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc
}  # fmt: skip
BLOCK = 2**17  # entries
IN_RANGE = 2.0**40  # a norm whose square, and that of any entry that matters, is a normal float


def concentration(v: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """chi and the ℓ1 norm together, in one pass: both have the shape of ``v`` without ``dim``.

    Entries are divided by the largest magnitude before they are squared, so that gradients of
    1e-30 neither underflow nor overflow. A zero vector has chi NaN, without gradient, and ℓ1 0.
    """
    _check_vectors(v, dim)
    v = real(v)
    scale = v.detach().abs().amax(dim, keepdim=True)
    tiny = torch.finfo(v.dtype).tiny
    scaled = v / scale.clamp_min(tiny)
    l1 = scaled.abs().sum(dim)  # a tenth of the rounding error of vector_norm(scaled, 1)
    l2 = torch.linalg.vector_norm(scaled, 2, dim)
    zero = l1 == 0  # whose gradient is zero, not that of a division by zero
    chi = torch.where(zero, torch.nan, l2 / torch.where(zero, 1.0, l1))
    return chi, l1 * scale.squeeze(dim).clamp_min(tiny)


def concentration_of_values(v: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`concentration` along the last axis, of plain values: no gradient goes through.

    On a CPU the norms are taken without the division, a tenth of the work, and only vectors whose
    squares could leave the range of a float go through it. What a vector gets depends on it alone.
    """
    _check_vectors(v, -1)
    v = real(v.detach())
    plain = type(v) is Tensor and v.device.type == "cpu" and v.is_contiguous()
    if not plain or torch.compiler.is_compiling():
        return concentration(v)
    rows = v.flatten(0, -2) if v.ndim > 1 else v.unsqueeze(0)
    l2 = torch.linalg.vector_norm(rows, 2, -1)
    blocks = rows.split(max(1, BLOCK // rows.shape[1]))  # whose magnitudes stay in the cache
    l1 = torch.cat([block.abs().sum(-1) for block in blocks])
    chi = l2 / l1
    if len(l2) and not (float(l2.min()) > 1 / IN_RANGE and float(l2.max()) < IN_RANGE):
        far = ~((l2 > 1 / IN_RANGE) & (l2 < IN_RANGE) | (l1 == 0))
        chi[far], l1[far] = concentration(rows[far])
    return chi.view(v.shape[:-1]), l1.view(v.shape[:-1])


def _check_vectors(v: Tensor, dim: int) -> None:
    _check_tensor(v)
    if v.ndim and not (hasattr(dim, "__index__") and -v.ndim <= dim < v.ndim):
        raise InputError(
            f"dim must be one axis of the shape {tuple(v.shape)}, from {-v.ndim} to {v.ndim - 1}, "
            f"got {dim!r:.60}: v.flatten(i, j) makes one axis of several"
        )
    if v.ndim == 0 or v.shape[dim] == 0:
        raise InputError(
            f"chi needs at least one entry along dim={dim}, got a vector of shape {tuple(v.shape)}"
        )


def _check_tensor(v: Tensor) -> None:
    if not isinstance(v, Tensor):
        raise InputError(f"chi takes a tensor, got {type(v).__name__}: give torch.as_tensor(v)")
    if v.layout in SPARSE:
        raise InputError(f"chi takes dense tensors, got layout {v.layout}: give v.to_dense()")
    if v.is_nested or type(v).__name__ == "MaskedTensor":
        kind, values = ("nested", "v.values()") if v.is_nested else ("masked", "v.get_data()")
        raise InputError(f"chi takes dense tensors, got a {kind} one: give {values}")
    if v.is_quantized:
        raise InputError("chi takes real numbers, got a quantised tensor: give v.dequantize()")


def real(v: Tensor) -> Tensor:
    """``v`` as chi takes it: magnitudes of complex numbers, and float32 at least."""
    if v.is_complex():
        v = v.abs()
    if not v.dtype.is_floating_point:
        return v.to(torch.get_default_dtype())
    return v.float() if v.dtype.itemsize < 4 else v


def chi(v: Tensor, dim: int = -1) -> Tensor:
    """chi(v) = ||v||2 / ||v||1, the reciprocal Taxicab-Euclidean norm ratio.

    Args:
        v: any shape; the vectors lie along ``dim`` and have D entries.
        dim: the axis of the vectors.

    Returns:
        Values in [1/sqrt(D), 1], NaN for a zero vector; the shape of ``v`` without ``dim``.

    Raises:
        InputError: the axis is empty or does not exist; no dense tensor.

    Source: Saphra & Lopez 2019, §2 (after Repetti et al. 2015).

    >>> chi(torch.tensor([[3.0, 0.0, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0]]))
    tensor([1.0000, 0.5000])
    """
    return concentration(v, dim)[0]


def effective_units(v: Tensor, dim: int = -1) -> Tensor:
    """1/chi^2 = (||v||1 / ||v||2)^2 in [1, D]: how many equal entries would be as concentrated.

    Args, shapes and errors as :func:`chi`.

    >>> effective_units(torch.tensor([2.0, 2.0, 0.0, 0.0])).round(decimals=4)
    tensor(2.)
    """
    return chi(v, dim).pow(-2)


def hoyer(v: Tensor, dim: int = -1) -> Tensor:
    """(sqrt(D) - 1/chi) / (sqrt(D) - 1) in [0, 1]: chi made comparable between widths.

    Args and shapes as :func:`chi`.

    Raises:
        InputError: D < 2, where every vector is as concentrated as it can be.

    Source: Hoyer 2004, "Non-negative matrix factorization with sparseness constraints".

    >>> hoyer(torch.tensor([[5.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    tensor([1., 0.])
    """
    _check_vectors(v, dim)
    if v.shape[dim] == 1:
        raise InputError(f"hoyer needs vectors of at least 2 entries, got shape {tuple(v.shape)}")
    root = v.shape[dim] ** 0.5
    return (root - 1 / chi(v, dim)) / (root - 1)


def chi_softmax_gradient(logits: Tensor, target: Tensor) -> Tensor:
    """chi of the softmax gradient p - onehot(target), without materialising it.

    With r the softmax over the *wrong* words alone, ||p - onehot||1 = 2q and
    ||p - onehot||2^2 = q^2 (1 + sum r^2), q = 1 - p_target, so

        chi = 1/2 sqrt(1 + sum_{j != target} r_j^2)         in (1/2, 1/sqrt(2)]:

    it depends only on how the wrong words share their mass, not on how sure the model is.

    Args:
        logits: (..., V) unnormalised scores, V >= 2.
        target: (...) integer ids in [0, V); a negative one (``ignore_index``) has no gradient.

    Returns:
        (...) chi of the gradient of the cross entropy with respect to the logits; NaN where the
        target is negative.

    Raises:
        InputError: no tensors, V < 2, or shapes that do not match.

    Source: Saphra & Lopez 2019, §4 (the quantity); the closed form is this project's.

    >>> chi_softmax_gradient(torch.tensor([4.0, 1.0, 1.0]), torch.tensor(0))
    tensor(0.6124)
    """
    _check_tensor(logits)
    if not isinstance(target, Tensor):
        raise InputError(
            f"target must be a tensor of integers, got {type(target).__name__}: give "
            "torch.as_tensor(target)"
        )
    if logits.ndim == 0 or logits.shape[-1] < 2:
        raise InputError(
            f"chi_softmax_gradient needs at least 2 logits a position, got {tuple(logits.shape)}"
        )
    if target.shape != logits.shape[:-1]:
        raise InputError(
            f"target has shape {tuple(target.shape)}, "
            f"but logits {tuple(logits.shape)} need {tuple(logits.shape[:-1])}"
        )
    if target.dtype.is_floating_point or target.dtype is torch.bool:
        raise InputError(f"target must be integers, got {target.dtype}")
    if logits.is_complex():
        raise InputError(f"logits must be real numbers, got {logits.dtype}")
    target, logits = target.long(), real(logits)
    readable = target.device.type == "cpu" and target.numel() and not is_traced()
    if readable and int(target.max()) >= logits.shape[-1]:
        raise InputError(
            f"target holds {int(target.max())}, but there are {logits.shape[-1]} logits"
        )
    wrong = logits.scatter(-1, target.clamp_min(0).unsqueeze(-1), float("-inf"))
    wrong = wrong - wrong.detach().amax(-1, keepdim=True).nan_to_num(neginf=0.0)
    sum_of_squares = (torch.logsumexp(2 * wrong, -1) - 2 * torch.logsumexp(wrong, -1)).exp()
    return (0.5 * (1 + sum_of_squares).sqrt()).where(target >= 0, torch.nan)
