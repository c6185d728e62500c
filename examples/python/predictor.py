"""Tells spam from good messages."""

import json
import math
import re
from pathlib import Path

MODEL = Path(__file__).with_name("model.json")


def words(text):
    return re.findall(r"[a-z']+", text.lower())


class PythonPredictor:
    def __init__(self, config):
        # Once in each process, before the replica gets requests: load the model here.
        self.weights = json.loads(MODEL.read_text())
        self.threshold = config["threshold"]

    def predict(self, payload):
        # Once for each request: the JSON of its body comes in, what is returned goes out as JSON.
        score = sum(self.weights.get(word, 0) for word in set(words(payload["text"])))
        probability = 1 / (1 + math.exp(-score))
        return {"spam": probability > self.threshold, "probability": round(probability, 4)}
