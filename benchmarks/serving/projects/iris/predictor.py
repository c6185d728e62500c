from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class PythonPredictor:
    def __init__(self, config):
        data = load_iris()
        self.model = LogisticRegression(max_iter=1000).fit(data.data, data.target)
        self.names = [str(name) for name in data.target_names]

    def predict(self, payload):
        return {"class": self.names[int(self.model.predict([payload["values"]])[0])]}
