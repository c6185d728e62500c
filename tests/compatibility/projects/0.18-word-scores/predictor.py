class PythonPredictor:
    def __init__(self, config):
        self.scores = {**dict.fromkeys(config["good"], 1), **dict.fromkeys(config["bad"], -1)}

    def predict(self, payload):
        total = sum(self.scores.get(word, 0) for word in payload["review"].lower().split())
        return "positive" if total > 0 else "negative"
