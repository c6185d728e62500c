import os

from lengths import convert


class PythonPredictor:
    def __init__(self, config):
        self.unit = os.environ["UNIT"]

    def predict(self, payload):
        return {"value": convert(payload["feet"]), "unit": self.unit}
