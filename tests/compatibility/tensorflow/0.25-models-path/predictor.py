import numpy as np


class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client

    def predict(self, payload):
        prediction = self.client.predict({"x": np.array(payload)})
        return {"flat": prediction["y"], "best": int(np.argsort(prediction["y"])[-1])}
