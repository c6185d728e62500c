"""A classifier of irises whose number of neighbours is set in cortex.yaml: one predictor, two variants."""

from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class PythonPredictor:
    def __init__(self, config):
        iris = load_iris()
        self.species = [str(name) for name in iris.target_names]
        self.neighbours = config["neighbours"]
        self.model = KNeighborsClassifier(n_neighbors=self.neighbours).fit(iris.data, iris.target)

    def predict(self, payload):
        row = [payload[feature] for feature in FEATURES]
        return {"species": self.species[self.model.predict([row])[0]], "neighbours": self.neighbours}
