"""Reads handwritten digits with a SavedModel of TensorFlow."""


class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client

    def predict(self, payload):
        # One image, as 8 rows of 8 pixels from 0 (white) to 16 (black); the model takes a batch of lines of 64.
        pixels = [pixel for row in payload["pixels"] for pixel in row]
        (probabilities,) = self.client.predict({"pixels": [pixels]}).values()
        digit = max(range(10), key=probabilities[0].__getitem__)
        return {"digit": digit, "probability": round(float(probabilities[0][digit]), 4)}
