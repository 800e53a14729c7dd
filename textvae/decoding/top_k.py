"""Top-k: the k largest values of each row; ties go to the lower id."""

from __future__ import annotations

from torch import Tensor


def top_ids(values: Tensor, k: int) -> Tensor:
    """The ids (N, k), ascending, of the k largest values of each row (N, V); ties: lower id."""
    top, ids = values.topk(k, dim=1)
    tied = ((values >= top[:, -1:]).sum(1) > k).nonzero().squeeze(1)
    if len(tied):  # the order of ties in topk is undefined
        ids[tied] = values[tied].argsort(dim=1, descending=True, stable=True)[:, :k]
    return ids.sort(dim=1).values


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each row (N, V), descending, and their ids; ties: lower id first."""
    if k == values.shape[1]:
        top, ids = values.sort(dim=1, descending=True, stable=True)
        return top, ids
    ids = top_ids(values, k)
    top, order = values.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return top, ids.gather(1, order)
