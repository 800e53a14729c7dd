"""Interpolation between two latent vectors, including both ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from textvae.errors import UsageError

Array = TypeVar("Array", np.ndarray, Tensor)
Method = Literal["linear", "slerp"]

MOST_STEPS = 10_000  # all steps are decoded at once
# Below this sine, rounding hides the great circle, and the straight line is as accurate.
_SMALLEST_SINE = 1e-6


def fractions(steps: int) -> list[float]:
    """The positions of `steps` equidistant points from 0 to 1 inclusive.

    Raises:
        UsageError: `steps` is below 2, which leaves no room for both ends, or above `MOST_STEPS`.

    >>> fractions(3)
    [0.0, 0.5, 1.0]
    """
    if not 2 <= steps <= MOST_STEPS:
        raise UsageError(f"steps {steps} must be 2 to {MOST_STEPS:,}, both ends included; try 7")
    return [step / (steps - 1) for step in range(steps)]


def interpolate(a: Array, b: Array, steps: int, *, method: Method = "slerp") -> Array:
    """The path from a to b (..., Z), with both ends exact, shape (steps, ..., Z).

    The result has the array type, dtype and device of `a`.

    Raises:
        UsageError: `steps` is out of range, the method is unknown, or the shapes differ.

    >>> interpolate(np.array([0.0, 2.0]), np.array([2.0, 0.0]), 3, method="linear").tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    if method not in _PATHS:
        raise UsageError(f"unknown method {method!r}: choose from {', '.join(_PATHS)}")
    if a.shape != b.shape:
        raise UsageError(
            f"the ends have shapes {tuple(a.shape)} and {tuple(b.shape)}; expected equal shapes"
        )
    start, end = torch.as_tensor(a), torch.as_tensor(b)
    t = torch.tensor(fractions(steps), dtype=torch.float64, device=start.device)
    t = t.view(-1, *[1] * start.dim())  # (steps, 1, ..., 1)
    path = _PATHS[method](start.double(), end.double(), t).to(start.dtype)
    path[0], path[-1] = start, end  # exact, without rounding errors
    return path if isinstance(a, Tensor) else path.numpy()


def _linear(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return (1 - t) * a + t * b


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation: the direction moves along the great circle at constant speed.

    Shoemake 1985, sec. 3.3, interpolates unit vectors; here the length also goes linearly from |a|
    to |b|. A straight line if the great circle is not unique: a zero vector, or parallel or
    opposite ends.
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
