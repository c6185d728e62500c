"""Reads handwritten digits with PyTorch."""

from pathlib import Path

import torch
from torch import nn


def network():
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 10),
    )


class PythonPredictor:
    def __init__(self, config):
        # Without a GPU in compute, replicas see none.
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        weights = torch.load(Path(__file__).with_name(config["weights"]), map_location=self.device, weights_only=True)
        self.model = network().to(self.device)
        self.model.load_state_dict(weights)
        self.model.eval()

    def predict(self, payload):
        # One image, as 8 rows of 8 pixels from 0 (white) to 16 (black).
        pixels = torch.tensor(payload["pixels"], dtype=torch.float32, device=self.device).reshape(1, 1, 8, 8) / 16
        with torch.inference_mode():
            probabilities = self.model(pixels).softmax(1)[0]
        digit = int(probabilities.argmax())
        return {"digit": digit, "probability": round(float(probabilities[digit]), 4)}
