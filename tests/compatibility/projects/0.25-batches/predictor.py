class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return [number * number for number in payload]
