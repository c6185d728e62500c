"""Trains the model and writes its weights as model.pt: python train.py

A small convolutional network learns scikit-learn's handwritten digits (1797 images of 8 x 8 pixels) in some seconds.
Needs PyTorch and scikit-learn.
"""

from pathlib import Path

import torch
from predictor import network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

TARGET = Path(__file__).with_name("model.pt")


def train():
    """A trained network, and its accuracy on images that it has not seen."""
    torch.manual_seed(0)
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images, digits, test_size=0.25, random_state=0, stratify=digits)
    seen, unseen = (torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16 for part in split[:2])
    known, truth = (torch.tensor(part) for part in split[2:])
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(seen), known).backward()
        optimizer.step()
    with torch.no_grad():
        return model, (model(unseen).argmax(1) == truth).float().mean().item()


if __name__ == "__main__":
    model, accuracy = train()
    torch.save(model.state_dict(), TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, accuracy {accuracy:.3f}")
