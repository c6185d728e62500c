class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client
        session = onnx_client.get_model("scale")["session"]
        self.output = session.get_outputs()[0].name

    def predict(self, payload, query_params):
        version = query_params.get("version", "latest")
        return self.client.predict({"x": [payload]}, "scale", version)[0][0].tolist()
