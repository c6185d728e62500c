"""Trains the model and writes it as the SavedModel in the folder model: python train.py

A small network learns scikit-learn's handwritten digits (1797 images of 8 x 8 pixels) in some seconds. Needs TensorFlow
and scikit-learn.
"""

from pathlib import Path

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

TARGET = Path(__file__).with_name("model")


def train():
    """A trained network, and its accuracy on images that it has not seen."""
    keras.utils.set_random_seed(0)
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images, digits, test_size=0.25, random_state=0, stratify=digits)
    seen, unseen, known, truth = split
    model = keras.Sequential(
        [
            keras.layers.Input((64,), name="pixels"),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(seen, known, epochs=40, verbose=0)
    return model, model.evaluate(unseen, truth, verbose=0)[1]


if __name__ == "__main__":
    model, accuracy = train()
    model.export(TARGET, verbose=False)
    print(f"{TARGET.name}: accuracy {accuracy:.3f}")
