"""Writes a text word by word, as a language model does: the client reads each word while the next one is made."""

import json
import random
from pathlib import Path

from cortex_serving import Response

MODEL = Path(__file__).with_name("model.json")


class PythonPredictor:
    def __init__(self, config):
        self.following = json.loads(MODEL.read_text())
        self.most_words = config["most_words"]

    def predict(self, payload):
        count = min(payload.get("words", 20), self.most_words)
        # A generator is sent piece by piece: here as server-sent events, without media_type as plain text.
        return Response(self.write(count, random.Random(payload.get("seed"))), media_type="text/event-stream")

    def write(self, count, chance):
        word = "Alice"
        for _ in range(count):
            yield word
            word = chance.choice(self.following[word])
