class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client
        self.inputs = {name: list(inputs) for name, inputs in tensorflow_client.input_signatures.items()}

    def predict(self, payload, query_params):
        model = query_params["model"]
        (name,) = self.inputs[model]
        return self.client.predict({name: [payload]}, model)["y"]
