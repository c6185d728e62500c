"""Reads handwritten digits with an ONNX model."""

import numpy


class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client

    def predict(self, payload):
        # One image, as 8 rows of 8 pixels or in one line. The client casts it to the type that the model wants.
        pixels = numpy.reshape(payload["pixels"], (1, 64))
        probabilities = self.client.predict(pixels)[0][0]
        digit = int(probabilities.argmax())
        return {"digit": digit, "probability": round(float(probabilities[digit]), 4)}
