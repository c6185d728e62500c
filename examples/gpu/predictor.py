"""Says whether a text is positive or negative, with a transformer on the GPU."""

import torch
from transformers import pipeline


class PythonPredictor:
    def __init__(self, config):
        # Replicas see their own GPUs only: the first one is ours.
        device = 0 if torch.cuda.is_available() else -1
        self.classify = pipeline("sentiment-analysis", model=config["model"], device=device)

    def predict(self, payload):
        # A list of payloads, because cortex.yaml asks for batches; without batch_size the pipeline takes one at a time.
        answers = self.classify([request["text"] for request in payload], batch_size=len(payload))
        return [{"label": answer["label"], "score": round(answer["score"], 4)} for answer in answers]
