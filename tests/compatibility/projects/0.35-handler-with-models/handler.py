from pathlib import Path


class Handler:
    def __init__(self, config, model_client):
        self.client = model_client

    def load_model(self, model_path):
        (method,) = Path(model_path).iterdir()
        return lambda text: getattr(text, method.name)()

    def handle_post(self, payload, query_params):
        return self.client.get_model(query_params["model"])(payload)
