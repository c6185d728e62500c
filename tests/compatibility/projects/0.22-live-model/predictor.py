import json
from pathlib import Path


class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, model_path):
        return json.loads(Path(model_path, "line.json").read_text())

    def predict(self, payload, query_params):
        version = query_params.get("version", "latest")
        line = self.client.get_model(model_version=version)
        return {"prediction": line["slope"] * payload["miles"] + line["start"], "version": version}
