import logging


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        return {"level": logging.getLevelName(logging.getLogger().level)}
