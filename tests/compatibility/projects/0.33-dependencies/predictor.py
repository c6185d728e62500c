import numpy as np


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return np.array(payload, dtype="float32").T
