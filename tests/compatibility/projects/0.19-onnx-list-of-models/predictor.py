class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client

    def predict(self, payload, query_params):
        name = query_params["model"]
        return {"model": name, "scaled": self.client.predict({"x": payload}, name)[0][0].tolist()}
