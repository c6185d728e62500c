"""Tells which species an iris is of. Nothing here is about monitoring: cortex.yaml asks for it."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class PythonPredictor:
    def __init__(self, config):
        # The data set is part of scikit-learn and the model is fitted in milliseconds, so this example
        # needs no model file. Yours would load one here.
        iris = load_iris()
        self.species = [str(name) for name in iris.target_names]
        self.model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=config["max_iterations"]))
        self.model.fit(iris.data, iris.target)

    def predict(self, payload):
        row = [payload[feature] for feature in FEATURES]
        probabilities = self.model.predict_proba([row])[0]
        return {
            "species": self.species[probabilities.argmax()],
            "probability": round(float(probabilities.max()), 4),
        }
