"""Rows in blocks have the largest values and the sums of whole rows."""

from __future__ import annotations

import pytest
import torch

from textvae.decoding.blocks import block_of, block_size, largest_id, split

WIDTHS = [1, 2, 3, 5, 16, 17, 100, 101, 1023]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_largest_id_is_the_first_maximum(width: int) -> None:
    random = torch.Generator().manual_seed(width)
    values = torch.randint(0, 4, (50, width), generator=random).float()  # many ties
    values[0] = -torch.inf
    values[1] = -torch.inf
    values[1, -1] = -1e30
    expected = [row.index(max(row)) for row in values.tolist()]
    assert largest_id(values).tolist() == expected


def test_a_row_with_nan_leads_to_it() -> None:
    values = torch.zeros(1, 23)
    values[0, 19] = torch.nan
    assert largest_id(values).tolist() == [19]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_blocks_are_the_row(width: int) -> None:
    values = torch.arange(2.0 * width).view(2, width)
    whole, rest = split(values)
    assert torch.equal(torch.cat([whole.flatten(1), rest], dim=1), values)
    size = block_size(width)
    blocks = [
        block_of(values, torch.full((2, 1), block), -1.0) for block in range(-(-width // size))
    ]
    joined = torch.cat(blocks, dim=1)
    assert torch.equal(joined[:, :width], values)
    assert (joined[:, width:] == -1).all()
