"""Top-k: the k largest values of each row; equal values in the order of their ids."""

from __future__ import annotations

from torch import Tensor


def top_ids(values: Tensor, k: int) -> Tensor:
    """Ids (N, k), in rising order, of the k largest of each row (N, V); of equals the lower."""
    top, ids = values.topk(k, dim=1)
    tied = ((values >= top[:, -1:]).sum(1) > k).nonzero().squeeze(1)
    if len(tied):  # topk's choice among equals is not defined
        ids[tied] = values[tied].argsort(dim=1, descending=True, stable=True)[:, :k]
    return ids.sort(dim=1).values


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row (N, V), largest first, and their ids; of equals the lower id."""
    if k == values.shape[1]:
        top, ids = values.sort(dim=1, descending=True, stable=True)
        return top, ids
    ids = top_ids(values, k)
    top, order = values.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return top, ids.gather(1, order)
