class PythonPredictor:
    def __init__(self, config):
        self.word = config["word"]

    def predict(self, payload):
        return f"{self.word} {payload}"
