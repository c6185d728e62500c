"""Says how friendly a text is, in the language that the request asks for. One replica serves all languages."""

import json
import re
from pathlib import Path


class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, model_path):
        # Called once for each version of each model, when it is first needed; its value is what get_model returns.
        return json.loads((Path(model_path) / "words.json").read_text())

    def predict(self, payload, query_params):
        # An unknown model or version is answered with 404 by itself.
        language, version = query_params.get("model", "english"), query_params.get("version", "latest")
        words = self.client.get_model(language, version)
        score = sum(words.get(word, 0) for word in re.findall(r"\w+", payload["text"].lower()))
        return {"mood": "friendly" if score > 0 else "unfriendly" if score < 0 else "neutral", "score": score}
