"""Decoding settings: the strategy and its limits, validated here once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Literal, get_args

from textvae.arguments import integer
from textvae.errors import UsageError, shown

Strategy = Literal["sample", "greedy", "beam"]

_SAMPLING_ONLY = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}  # name -> value without effect
MOST_BEAMS = 1000  # each beam has its own states and logits in memory
_BEAM_ONLY = {"beams": 1, "length_penalty": 0.0}


@dataclass(frozen=True)
class Sampling:
    """How decoding chooses tokens from the model's distribution p(x_t | x_<t, z).

    A sentence is its tokens followed by one end token. A decoded sentence has at least `min_tokens`
    tokens before the end token, and at most `max_tokens` including it: the end token has
    probability 0 before `min_tokens`, and is forced after `max_tokens - 1` tokens. If `max_tokens`
    is None, the model's own limit applies.

    - `sample`: draws x_t from the distribution, after `repetition_penalty`, `temperature`, `top_k`
      and `top_p`, in this order. Exactly `top_k` tokens stay; `top_p` then keeps the smallest set
      of most probable tokens that holds this share (Holtzman 2020). Ties: the lower id comes first.
    - `greedy`: takes the most probable token. Ties: the lowest id.
    - `beam`: takes the sentence with the highest log p(x | z) / length^`length_penalty` that
      `beams` hypotheses find; the length includes the end token (see `beam.py`).

    `repetition_penalty` divides the positive logits of tokens that the sentence already has, and
    multiplies the negative ones (Keskar 2019, sec. 4.1). With `no_repeat_ngram` N no N tokens occur
    in the same order twice in a sentence (Paulus 2018, sec. 2.5); 0 is off.

    Raises:
        UsageError: a value is out of range, or the strategy would ignore it.

    >>> Sampling("sample", temperature=0.8, top_p=0.9).beams
    1
    """

    strategy: Strategy = "sample"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 1
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    min_tokens: int = 0
    max_tokens: int | None = None
    length_penalty: float = 0.0

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            known = ", ".join(get_args(Strategy))
            raise UsageError(f"unknown strategy {self.strategy!r}: choose from {known}")
        for name in ("top_k", "beams", "no_repeat_ngram", "min_tokens", "max_tokens"):
            value = getattr(self, name)
            number = integer(value)
            if number is None and (name, value) != ("max_tokens", None):
                raise UsageError(f"{name} {shown(value)} must be a whole number")
            object.__setattr__(self, name, number)  # an int of NumPy becomes one of Python
        for name in ("temperature", "top_p", "repetition_penalty", "length_penalty"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise UsageError(f"{name} {shown(value)} must be a number")
        _check(
            "temperature",
            self.temperature,
            0 < self.temperature < math.inf,
            "above 0",
            "0.5 to 1.2, or greedy for the limit 0",
        )
        _check("top_k", self.top_k, self.top_k >= 0, "0 (off) or more", "40")
        _check("top_p", self.top_p, 0 < self.top_p <= 1, "above 0 and at most 1 (off)", "0.9")
        _check("beams", self.beams, 1 <= self.beams <= MOST_BEAMS, f"1 to {MOST_BEAMS:,}", "5")
        _check(
            "repetition_penalty",
            self.repetition_penalty,
            0 < self.repetition_penalty < math.inf,
            "above 0 (1 is off)",
            "1.2",
        )
        _check(
            "length_penalty",
            self.length_penalty,
            0 <= self.length_penalty < math.inf,
            "0 (off) or more",
            "0.6",
        )
        _check(
            "no_repeat_ngram",
            self.no_repeat_ngram,
            self.no_repeat_ngram >= 0,
            "0 (off) or more",
            "3",
        )
        _check("min_tokens", self.min_tokens, self.min_tokens >= 0, "0 or more", "0")
        if self.max_tokens is not None:
            _check("max_tokens", self.max_tokens, self.max_tokens >= 2, "2 or more", "128")
            self._check_min_tokens(self.max_tokens)
        self._refuse_ignored_values()

    def limit(self, model_limit: int) -> int:
        """The maximum sentence length in tokens, including the end token, for a model's own limit.

        Raises:
            UsageError: `max_tokens` exceeds `model_limit`, or `min_tokens` does not fit.
        """
        if self.max_tokens is None:
            self._check_min_tokens(model_limit)
            return model_limit
        if self.max_tokens > model_limit:
            raise UsageError(
                f"max_tokens {self.max_tokens} exceeds the model's limit {model_limit}; "
                f"try {model_limit}, or train with a larger max_tokens"
            )
        return self.max_tokens

    def _check_min_tokens(self, limit: int) -> None:
        _check(
            "min_tokens",
            self.min_tokens,
            self.min_tokens < limit,
            f"below max_tokens {limit}, which counts the end token",
            str(limit - 1),
        )

    def _refuse_ignored_values(self) -> None:
        ignored = dict(_SAMPLING_ONLY) if self.strategy != "sample" else {}
        ignored |= _BEAM_ONLY if self.strategy != "beam" else {}
        for name, off in ignored.items():
            value = getattr(self, name)
            if value != off:
                wanted = "sample" if name in _SAMPLING_ONLY else "beam"
                raise UsageError(
                    f"{name} {value} has no effect with strategy {self.strategy}: "
                    f"leave it out, or choose strategy {wanted}"
                )

    def to_dict(self) -> dict[str, float | int | str | None]:
        """The strategy, and the settings that differ from their neutral values.

        >>> Sampling("sample", top_p=0.9).to_dict()
        {'strategy': 'sample', 'top_p': 0.9}
        """
        neutral = vars(type(self)(self.strategy))
        changed = {name: value for name, value in vars(self).items() if value != neutral[name]}
        return {"strategy": self.strategy, **changed}

    def __str__(self) -> str:
        strategy, *others = self.to_dict().items()
        return ", ".join([str(strategy[1]), *(f"{name} {value}" for name, value in others)])

    @classmethod
    def from_options(
        cls,
        *,
        default: Sampling | None = None,
        greedy: bool = False,
        strategy: Strategy | None = None,
        **options: float | int | None,
    ) -> Sampling:
        """The settings for command-line options; None means that an option was not given.

        The strategy is `strategy` if given; else greedy with `greedy`, beam with `beams` above 1,
        and sample with any sampling option. Otherwise the options change `default`, which is sample
        if None.

        Raises:
            UsageError: an option is unknown or out of range, or options contradict.

        >>> Sampling.from_options(beams=4, top_k=None).strategy
        'beam'
        >>> default = Sampling("greedy", no_repeat_ngram=3)
        >>> str(Sampling.from_options(default=default, max_tokens=9))
        'greedy, no_repeat_ngram 3, max_tokens 9'
        >>> str(Sampling.from_options(default=default, temperature=0.7))
        'sample, temperature 0.7'
        """
        given = {name: value for name, value in options.items() if value is not None}
        unknown = given.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise UsageError(
                f"unknown decoding option {sorted(unknown)[0]!r}: "
                f"choose from greedy, {', '.join(cls.__dataclass_fields__)}"
            )
        if greedy and strategy not in (None, "greedy"):
            raise UsageError(f"greedy contradicts strategy {strategy}: choose one of the two")
        if greedy:
            strategy = "greedy"
        elif strategy is None and given.get("beams", 1) != 1:
            strategy = "beam"
        elif strategy is None:
            strategy = "sample" if given.keys() & _SAMPLING_ONLY.keys() else None
        if strategy is None:
            return replace(default or cls(), **given)  # type: ignore[arg-type]  # checked there
        return cls(strategy, **given)  # type: ignore[arg-type]  # checked by __post_init__


def _check(name: str, value: float, allowed: bool, wanted: str, suggestion: str) -> None:
    if not allowed:
        raise UsageError(f"{name} {value} must be {wanted}; try {suggestion}")
