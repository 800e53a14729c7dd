"""Files of sentence vectors in many formats; an interrupted run continues where it stopped.

Files of clusters and of labelled sentences too.
"""

from textvae.export.assignments import write_assignments
from textvae.export.labelled import write_labelled
from textvae.export.streaming import stream_vectors
from textvae.export.writing import WrittenVectors, write_vectors

__all__ = [
    "WrittenVectors",
    "stream_vectors",
    "write_assignments",
    "write_labelled",
    "write_vectors",
]
