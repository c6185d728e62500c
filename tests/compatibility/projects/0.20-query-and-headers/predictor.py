class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, query_params, headers):
        return {
            "tags": query_params.getlist("tag"),
            "n": query_params.get("n"),
            "who": headers.getlist("X-Who"),
            "agent": "User-Agent" in headers,
            "items": query_params.multi_items(),
        }
