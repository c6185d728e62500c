class ONNXPredictor:
    def __init__(self, onnx_client, config):
        (signature,) = onnx_client.input_signatures.values()
        self.columns, self.type = signature["x"]["shape"][1], signature["x"]["type"]
        self.client = onnx_client

    def predict(self, payload):
        return {"columns": self.columns, "type": self.type, "rows": self.client.predict({"x": payload})[0].tolist()}
