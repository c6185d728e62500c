from pathlib import Path


class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, model_path):
        return Path(model_path, "ending.txt").read_text().strip()

    def predict(self, payload):
        return payload.upper() + self.client.get_model()
