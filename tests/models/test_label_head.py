"""The head on labels: softmax regression of prefixes of z that share their weights."""

from __future__ import annotations

import torch
from random_models import random_model

from textvae.models.build import build_model
from textvae.models.label_head import LabelHead
from textvae.models.prefix_linear import PrefixLinear


def test_a_prefix_is_read_as_if_the_other_dimensions_were_zero() -> None:
    layer = PrefixLinear(5, 3)
    x = torch.randn(7, 5)
    for k in range(1, 6):
        padded = torch.nn.functional.pad(x[:, :k], (0, 5 - k))
        torch.testing.assert_close(layer(x[:, :k]), layer(padded))
    torch.testing.assert_close(layer(x), x @ layer.weight.T + layer.bias)


def test_the_logits_are_linear_in_z() -> None:
    head = LabelHead(4, ("a", "b", "c"))
    z = torch.randn(6, 4)
    expected = z @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(z), expected)


def test_a_head_leaves_the_weights_of_the_other_parts_as_the_seed_gives_them() -> None:
    without = random_model()
    models = []
    for classes in ((), ("a", "b")):
        torch.manual_seed(3)
        models.append(build_model(without.config, without.decoder.vocabulary, 8, classes=classes))
    plain, headed = models
    assert set(headed.saved()) - set(plain.saved()) == {
        "label_head.linear.weight",
        "label_head.linear.bias",
    }
    assert all(torch.equal(value, headed.saved()[name]) for name, value in plain.saved().items())
