"""The arithmetic of scripts/benchmark: work of a network, medians, pairs, the text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from speed.cases import LENGTH, VOCABULARY, Case, cases, random_sentences, written_lengths
from speed.limits import (
    Product,
    Shape,
    Softmax,
    Work,
    decoder_work,
    encoder_work,
    seconds_of,
    with_gradient,
    writing_work,
)
from speed.results import compared, summary, table
from torch.utils.flop_counter import FlopCounterMode

from textvae.config import ModelConfig
from textvae.data.batches import collate
from textvae.data.vocabulary import Vocabulary
from textvae.models.build import build_model

SPEED = Path(__file__).resolve().parents[2] / "scripts" / "speed"


def flops(work: Work) -> int:
    return sum(times * item.flops for item, times in work.items() if isinstance(item, Product))


@pytest.mark.parametrize("trained", [False, True])
def test_a_transformer_has_the_products_that_torch_counts(trained: bool) -> None:
    """All but those of z, which are few."""
    N, T, H, Z, V = 8, 16, 32, 2, 300
    config = ModelConfig(
        encoder="transformer", decoder="transformer", layers=2, hidden_size=H, embedding_size=H,
        latent_size=Z, tie_weights=False,
    )  # fmt: skip
    model = build_model(config, Vocabulary(V, 0, 1, 2), T)
    tokens = collate([[5] * (T - 1)] * N, 2, 0)
    with FlopCounterMode(display=False) as counted, torch.set_grad_enabled(trained):
        z = model.code(tokens)
        loss = model.decoder.log_likelihood(tokens, z).sum()
        if trained:
            loss.backward()
    shape = Shape("transformer", N, T, H, Z, V)
    work = encoder_work(shape, trained=trained) + decoder_work(shape, trained=trained)
    assert flops(work) == pytest.approx(counted.get_total_flops(), rel=0.1)


def test_a_gradient_has_twice_the_products() -> None:
    work = Work({Product(6, 4, 3): 1, Product(2, 3, 9): 5})
    assert flops(with_gradient(work, steps=5)) == 3 * flops(work)
    assert with_gradient(work, steps=5)[Product(3, 10, 9)] == 1  # one for all tokens


@pytest.mark.parametrize("network", ["gru", "lstm"])
def test_writing_a_sentence_has_the_products_of_reading_it(network: str) -> None:
    shape = Shape(network, 3, 7, 8, 2, 50)
    written, read = writing_work(shape, softmax=True), decoder_work(shape, trained=False)
    assert flops(written) == flops(read)
    rows = [
        sum(item.rows * n for item, n in work.items() if isinstance(item, Softmax))
        for work in (written, read)
    ]
    assert rows[0] == rows[1] == 21


def test_numbers_of_sentences_are_in_the_name_unless_they_are_the_usual() -> None:
    """So that figures of an earlier run keep their keys."""
    files = {"fixed": "a.txt", "file": "b.txt"}
    found = cases(
        ["train", "greedy"], ["lstm"], ["cpu"], ["float32"], files, 1.0, "cpu", {"train": [64, 128]}
    )
    assert [(case.name, case.sentences) for case in found] == [
        ("train lstm float32 cpu fixed", 64),
        ("train lstm float32 cpu fixed 128", 128),
        ("train lstm float32 cpu file", 64),
        ("train lstm float32 cpu file 128", 128),
        ("greedy lstm float32 cpu fixed", 256),
    ]


def test_the_limit_counts_each_product_as_often_as_it_occurs() -> None:
    clock = iter(range(10_000)).__next__  # each look at the clock takes a second
    once = seconds_of(Work({Product(2, 3, 4): 1}), "cpu", "float32", clock)
    assert seconds_of(Work({Product(2, 3, 4): 7}), "cpu", "float32", clock) == 7 * once > 0


def test_a_figure_is_the_median_and_a_ratio_that_of_pairs() -> None:
    mine = [
        {"seconds": s, "tokens": 100, "memory_mib": 10, "limit_seconds": 1.0} for s in (2, 1, 4)
    ]
    other = [{"seconds": s, "tokens": 50, "memory_mib": 20} for s in (2, 2, 2)]
    row = summary("a", mine, other)
    assert row["tokens_per_second"] == 50
    assert row["of_limit"] == 0.5
    assert row["spread"] == 4
    assert row["over_other"] == 2
    assert row["other_memory"] == 2


def test_a_case_that_another_program_does_not_know_has_no_ratio() -> None:
    mine = [{"seconds": 1.0, "tokens": 0, "memory_mib": 10}]
    assert "over_other" not in summary("a", mine, [{}])
    assert "tokens_per_second" not in summary("a", mine)


def test_old_figures_stand_beside_the_same_case() -> None:
    fast = {"case": "a", "tokens_per_second": 300, "seconds": 1.0, "memory_mib": 50}
    slow = {"case": "a", "tokens_per_second": 100, "seconds": 1.0, "memory_mib": 100}
    command = {"case": "b", "seconds": 0.5, "memory_mib": 1}
    rows = compared([fast, command, {**fast, "case": "c"}], [slow, {**command, "seconds": 1.0}])
    assert [row.get("over_old") for row in rows] == [3, 2, None]
    assert rows[0]["old_memory"] == 2
    assert table(rows).splitlines()[0].endswith("| speed / old | old memory / new |")


def test_the_text_has_the_lengths_and_all_words() -> None:
    fixed = [text.split() for text in random_sentences(np.full(1000, LENGTH))]
    assert {len(words) for words in fixed} == {LENGTH}
    assert len({word for words in fixed for word in words}) == VOCABULARY
    lengths = written_lengths(500)
    assert [len(text.split()) for text in random_sentences(lengths)] == lengths.tolist()
    assert np.mean(lengths) == pytest.approx(20, abs=2)


def test_only_training_has_a_choice_of_precision() -> None:
    files = {"fixed": "a", "file": "b"}
    found = cases(
        ["train", "greedy", "startup"], ["gru"], ["cpu"], ["float32", "bf16"], files, 1, "cpu"
    )
    assert len({case.name for case in found}) == len(found)
    assert {case.precision for case in found if case.path != "train"} == {"float32"}
    assert sum(case.path == "train" for case in found) == 4
    assert sum(case.path == "greedy" for case in found) == 1


@pytest.mark.slow
def test_a_measured_case_is_one_line_of_json(tmp_path: Path) -> None:
    """Of a path in its own process, as another program is asked too."""
    file = tmp_path / "texts.txt"
    file.write_text("a b c\nb c\n", encoding="utf-8")
    case = Case("embed", "gru", file=str(file), sentences=2, seconds=0.01, clock="cpu")
    assert Case.from_json(case.to_json()) == case
    command = [sys.executable, str(SPEED / "measure.py"), case.to_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tokens"] == 7 * found["pieces"]
    assert found["memory_mib"] > 50
    assert found["limit_seconds"] > 0
    assert found["operators"] > 10
