"""Which of many texts is most like the given one? One matrix product answers a whole batch of requests."""

import zlib

import numpy

SIZE = 4096
TITLES = [
    "How to bake bread with wild yeast",
    "A history of the printing press",
    "Growing tomatoes on a balcony",
    "Repairing the gears of a bicycle",
    "Learning to play the violin late",
    "What the tides have to do with the moon",
]


def vectors(texts):
    """Each text as a vector of length 1: counts of its groups of three letters, hashed."""
    counts = numpy.zeros((len(texts), SIZE), numpy.float32)
    for row, text in zip(counts, texts, strict=True):
        padded = f"  {text.lower()}  "
        for start in range(len(padded) - 2):
            row[zlib.crc32(padded[start : start + 3].encode()) % SIZE] += 1
    return counts / numpy.linalg.norm(counts, axis=1, keepdims=True)


class PythonPredictor:
    def __init__(self, config):
        self.titles = vectors(TITLES)

    def predict(self, payload):
        # With server_side_batching, payload is a list, and so is what is returned: one item for each request.
        likeness = vectors([request["text"] for request in payload]) @ self.titles.T
        return [
            {"title": TITLES[row.argmax()], "likeness": round(float(row.max()), 3), "batch": len(payload)}
            for row in likeness
        ]
