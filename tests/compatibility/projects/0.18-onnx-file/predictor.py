labels = ["wide", "long"]


class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client

    def predict(self, payload):
        prediction = self.client.predict([payload["width"], payload["length"]])
        return labels[prediction[0][0]]
