"""Paths between two latent vectors, both ends included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from textvae.errors import UsageError

Array = TypeVar("Array", np.ndarray, Tensor)
Method = Literal["linear", "slerp"]

MOST_STEPS = 10_000  # all of them are decoded at once
# Below this sine the great circle is lost in rounding, and the line is within it.
_SMALLEST_SINE = 1e-6


def fractions(steps: int) -> list[float]:
    """Where the points of a path of `steps` points lie, from 0 to 1 inclusive.

    Raises:
        UsageError: fewer than 2 steps, which cannot hold both ends, or more than `MOST_STEPS`.

    >>> fractions(3)
    [0.0, 0.5, 1.0]
    """
    if not 2 <= steps <= MOST_STEPS:
        raise UsageError(f"steps {steps} must be 2 to {MOST_STEPS:,}, both ends included; try 7")
    return [step / (steps - 1) for step in range(steps)]


def interpolate(a: Array, b: Array, steps: int, *, method: Method = "slerp") -> Array:
    """The path from a to b (..., Z), both met exactly, shape (steps, ..., Z).

    Array kind, dtype and device are those of `a`.

    Raises:
        UsageError: fewer than 2 steps, an unknown method, or shapes that differ.

    >>> interpolate(np.array([0.0, 2.0]), np.array([2.0, 0.0]), 3, method="linear").tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    if method not in _PATHS:
        raise UsageError(f"method {method!r} is unknown: choose from {', '.join(_PATHS)}")
    if a.shape != b.shape:
        raise UsageError(f"ends of shapes {tuple(a.shape)} and {tuple(b.shape)} must be alike")
    start, end = torch.as_tensor(a), torch.as_tensor(b)
    t = torch.tensor(fractions(steps), dtype=torch.float64, device=start.device)
    t = t.view(-1, *[1] * start.dim())  # (steps, 1, ..., 1)
    path = _PATHS[method](start.double(), end.double(), t).to(start.dtype)
    path[0], path[-1] = start, end  # exactly, whatever was rounded on the way
    return path if isinstance(a, Tensor) else path.numpy()


def _linear(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return (1 - t) * a + t * b


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Direction along the great circle at constant angular speed, length linear in t.

    The circle of Shoemake 1985, sec. 3.3, is one of unit vectors; here the length goes from
    |a| to |b| beside it. The line where there is no one circle: a zero vector, or ends that
    are parallel or opposite.
    """
    a_length, b_length = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    a_unit, b_unit = a / a_length, b / b_length
    # Accurate at every angle, unlike the arc cosine; Kahan 2006, sec. 12.
    angle = 2 * torch.atan2(
        (a_unit - b_unit).norm(dim=-1, keepdim=True), (a_unit + b_unit).norm(dim=-1, keepdim=True)
    )
    direction = (torch.sin((1 - t) * angle) * a_unit + torch.sin(t * angle) * b_unit) / angle.sin()
    curved = direction * _linear(a_length, b_length, t)
    has_circle = (angle.sin() > _SMALLEST_SINE) & (a_length > 0) & (b_length > 0)
    return torch.where(has_circle, curved, _linear(a, b, t))


_PATHS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "linear": _linear,
    "slerp": _slerp,
}
