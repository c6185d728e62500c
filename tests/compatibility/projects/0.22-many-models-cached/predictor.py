from pathlib import Path


class PythonPredictor:
    def __init__(self, python_client, config):
        self.client = python_client

    def load_model(self, model_path):
        return Path(model_path, "greeting.txt").read_text().strip()

    def predict(self, payload, query_params):
        greeting = self.client.get_model(query_params["model"], query_params.get("version", "latest"))
        return f"{greeting} {payload['name']}"
