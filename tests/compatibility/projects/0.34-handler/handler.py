class Handler:
    def __init__(self, config):
        self.digits = config["digits"]

    def handle_post(self, payload, query_params):
        if isinstance(payload, str):
            return f"text: {payload}"
        return {"weight": round(payload["weight"], self.digits), "unit": query_params["unit"]}
