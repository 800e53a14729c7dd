"""How often the head on labels finds the label of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from textvae.data.batches import NO_LABEL, UNKNOWN_CLASS
from textvae.data.rows import Row
from textvae.evaluation.measurements import Figures
from textvae.models.label_head import LabelHead


@torch.no_grad()
def predicted_classes(head: LabelHead, z: Tensor) -> Tensor:
    """The place of the most probable class of each sentence, (N,) int64 on the CPU.

    Args:
        z: posterior means or codes, (N, Z), of any type and on any device.
    """
    return head(z.to(head.linear.weight)).argmax(1).cpu()


def monitored_labels(head: LabelHead | None, z: Tensor, labels: Tensor | None) -> dict[str, float]:
    """`label_accuracy`: the share of sentences with a label whose label the head finds most likely.

    Empty without a head, or where no sentence has a label.

    Args:
        z: posterior means or codes, (N, Z).
        labels: the class of each sentence, (N,) int64; NO_LABEL without a label, UNKNOWN_CLASS for
            a label that the head does not know.
    """
    if head is None or labels is None or not (labels != NO_LABEL).any():
        return {}
    labels = labels.cpu()
    correct = (predicted_classes(head, z) == labels)[labels != NO_LABEL]
    return {"label_accuracy": correct.float().mean().item()}


def label_figures(head: LabelHead, z: Tensor, rows: Sequence[Row]) -> Figures:
    """`label_accuracy` with its error, `n_labelled`, and the label and prediction of each sentence.

    A label that the head does not know is an error of the head; `n_unknown_labels` counts them. If
    no sentence has a label, there are predictions only.

    Args:
        z: posterior means or codes of the rows, (N, Z).
    """
    figures = Figures()
    predicted = predicted_classes(head, z)
    places: dict[str | None, int] = {name: place for place, name in enumerate(head.classes)}
    places[None] = NO_LABEL
    labels = torch.tensor([places.get(row.label, UNKNOWN_CLASS) for row in rows])
    figures.column("predicted_label", [head.classes[place] for place in predicted.tolist()])
    has_label = labels != NO_LABEL
    if not has_label.any():
        return figures
    figures.mean("label_accuracy", (predicted == labels)[has_label])
    figures.value("n_labelled", int(has_label.sum()))
    figures.value("n_unknown_labels", int((labels == UNKNOWN_CLASS).sum()) or None)
    figures.column("label", [row.label for row in rows])
    return figures
