class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client

    def predict(self, payload, query_params):
        return self.client.predict({"x": [payload]}, query_params["model"])["y"]
