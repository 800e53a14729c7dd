"""Training curves: the drawn points are the records, and a training keeps its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import TEXTS, TINY, Heard

from textvae import TextVAE
from textvae.errors import DataError, NotFoundError, UsageError
from textvae.plots import CurvesReporter, Picture, training_curves
from textvae.plots.curves import read_run

# The loss falls from 90 in the first tenth.
RECORDS = [
    {"event": "train", "step": step, "epoch": step / 100, "rec": rec, "kl": kl, "kl_weight": 1.0,
     "learning_rate": 1e-3, "timing": {"seconds": step * 0.6}}
    for step, rec, kl in ((10, 90.0, 1.0), (200, 30.0, 2.0), (400, 20.0, 3.0))
] + [
    {"event": "valid", "step": step, "epoch": step / 100, "rec": rec, "kl": 3.0,
     "nll_elbo": rec + 3, "best": best, "timing": {"seconds": step * 0.6}}
    for step, rec, best in ((200, 31.0, True), (300, 22.0, True), (400, 23.0, False))
] + [{"event": "rollback", "step": 1}, {"event": "train", "step": "x", "rec": None}]  # fmt: skip

_LM = [{"event": "valid", "step": 5, "nll_iw": 8.0}]


def lines(picture: Picture, label: str) -> list[list[tuple[float, float]]]:
    """The points of each line of the panel whose vertical axis has this label."""
    (axes,) = [axes for axes in picture.figure.axes if axes.get_ylabel().startswith(label)]
    return [list(zip(*line.get_data(), strict=True)) for line in axes.lines]


def labels(picture: Picture) -> list[str]:
    """The vertical axes without their units."""
    return [axes.get_ylabel().partition(" (")[0] for axes in picture.figure.axes]


def test_the_points_are_those_of_the_records() -> None:
    drawn = training_curves({"mine": RECORDS})
    train, valid, ring = lines(drawn, "reconstruction")
    assert train == [(10, 90.0), (200, 30.0), (400, 20.0)]
    assert valid == [(200, 31.0), (300, 22.0), (400, 23.0)]
    assert ring == [(300, 22.0)]  # the saved model: the last that was the best
    assert lines(drawn, "bound")[0] == [(10, 91.0), (200, 32.0), (400, 23.0)]
    assert lines(drawn, "learning rate") == [[(10, 1e-3), (200, 1e-3), (400, 1e-3)]]
    by_minutes = training_curves({"mine": RECORDS}, by="minutes")
    np.testing.assert_allclose(lines(by_minutes, "KL (")[0], [(0.1, 1), (2, 2), (4, 3)])


def test_small_figures_stand_at_their_axis_without_a_power_of_ten() -> None:
    figure = training_curves({"mine": RECORDS}).figure
    figure.draw_without_rendering()
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel().startswith("learning rate")]
    low, high = axes.get_ylim()
    ticks = [float(tick.get_text()) for tick in axes.get_yticklabels()]
    assert [tick for tick in ticks if low <= tick <= high and tick] == pytest.approx(
        [tick for tick in axes.get_yticks() if low <= tick <= high and tick]
    )


def test_the_height_from_which_a_loss_falls_is_named_and_does_not_flatten_the_rest() -> None:
    axes = training_curves({"mine": RECORDS}).figure.axes[0]
    assert 31 < axes.get_ylim()[1] < 40
    assert [text.get_text() for text in axes.texts] == ["begins at 90"]
    assert all(axes.get_ylim()[1] > 0 for axes in training_curves({"a": RECORDS[:1]}).figure.axes)


def test_every_axis_has_a_unit() -> None:
    drawn = training_curves({"mine": RECORDS, "other": RECORDS}, by="minutes")
    for axes in drawn.figure.axes:
        assert "(" in axes.get_ylabel()
        assert "(" in axes.get_xlabel()
    assert drawn.title == "Training of 2 runs"


def test_runs_keep_their_look_in_all_panels() -> None:
    drawn = training_curves({"a": RECORDS, "b": RECORDS[:3]})
    for axes in drawn.figure.axes[:2]:
        first, second = axes.lines[0], axes.lines[-1]
        assert (first.get_color(), second.get_color()) == ("#0072B2", "#D55E00")
    names = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert names[:2] == ["a", "b"]


def test_each_kind_of_model_has_its_own_panels(
    tiny_vae: Path, tiny_ae: Path, tiny_lm: Path
) -> None:
    assert labels(training_curves([tiny_lm])) == ["exact NLL"]
    assert labels(training_curves([tiny_ae])) == ["reconstruction", "z_gain"]
    vae = training_curves(str(tiny_vae))
    assert labels(vae) == ["reconstruction", "KL", "bound, rec + KL", "z_gain", "KL weight"]
    both = {"a": RECORDS, "b": [{"event": "train", "step": 5, "rec": 9.0}, *_LM]}
    assert labels(training_curves(both))[3] == "exact NLL"  # of its steps, too
    assert lines(training_curves(both), "exact NLL")[0] == [(5, 9.0)]
    valid = [record["nll_elbo"] for record in read_run(tiny_vae).valid]
    assert [y for _, y in lines(vae, "bound")[-2]] == valid


def test_what_is_no_run_is_refused(tmp_path: Path, tiny_vae: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        training_curves([tmp_path / "no"])
    with pytest.raises(NotFoundError, match=r"has no metrics\.jsonl"):
        training_curves([tmp_path])
    (tmp_path / "metrics.jsonl").write_text('{"event": "rollback"}\n')
    with pytest.raises(DataError, match="no figures yet"):
        training_curves([tmp_path])
    with pytest.raises(UsageError, match="named twice"):
        training_curves([tiny_vae, f"{tiny_vae}/"])
    with pytest.raises(UsageError, match="no runs"):
        training_curves([])
    with pytest.raises(UsageError, match="try step, epoch, minutes"):
        training_curves([tiny_vae], by="hours")  # type: ignore[arg-type]


class Watched(Heard):
    """Keeps the picture as it stands after each record."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.seen: list[tuple[str, bool]] = []

    def log(self, record: dict[str, Any]) -> None:
        self.seen.append((record["event"], self.path.exists()))


def test_a_training_keeps_its_curves_up_to_date(tmp_path: Path) -> None:
    out = tmp_path / "m"
    heard = Watched(out / "curves.svg")
    settings = {**TINY, "eval_steps": 9}
    TextVAE.train(TEXTS, out=out, reporter=CurvesReporter(out, heard), **settings)
    first = [event for event, _ in heard.seen].index("valid")
    assert {exists for _, exists in heard.seen[: first + 1]} == {False}
    assert {exists for _, exists in heard.seen[first + 1 :]} == {True}  # since that evaluation
    training_curves([out]).save(tmp_path / "after.svg")
    assert (out / "curves.svg").read_bytes() == (tmp_path / "after.svg").read_bytes()
    TextVAE.train(TEXTS, out=out, overwrite=True, progress=False, **settings)
    assert not (out / "curves.svg").exists()


def test_a_training_goes_on_where_its_curves_cannot_be_drawn(tmp_path: Path) -> None:
    out = tmp_path / "m"

    class Blocking(Heard):
        def start(self, info: dict[str, Any]) -> None:
            (out / "curves.svg").mkdir()

    heard = Blocking()
    TextVAE.train(TEXTS, out=out, reporter=CurvesReporter(out, heard), **TINY)
    told = [text for text in heard.warnings if "curves" in text]
    assert len(told) == 1
    assert told[0].endswith("training goes on")
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").open()]
    assert max(steps) == TINY["max_steps"]
