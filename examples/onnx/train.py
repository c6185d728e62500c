"""Trains the model of this example and writes it as model/digits.onnx. Run it again with: python train.py

A small network learns scikit-learn's handwritten digits (1797 images of 8 x 8 pixels) in about a second. It is written
with the onnx package alone, so that what is in the file can be seen here; for larger models use skl2onnx, or the
exporter of your framework.
"""

from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

TARGET = Path(__file__).parent / "model" / "digits.onnx"


def train():
    """A fitted classifier, and its accuracy on images that it has not seen."""
    images, digits = load_digits(return_X_y=True)
    split = train_test_split(images / 16, digits, test_size=0.25, random_state=0, stratify=digits)
    seen, unseen, known, truth = split
    network = MLPClassifier(hidden_layer_sizes=(32,), max_iter=400, tol=1e-3, random_state=0)
    network.fit(seen, known)
    return network, network.score(unseen, truth)


def as_onnx(network):
    """pixels (0 to 16) -> scale -> layer -> ReLU -> layer -> softmax -> probabilities."""
    values = {"scale": numpy.array(1 / 16, numpy.float32)}
    for number, (weights, biases) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        values[f"weights{number}"] = weights.astype(numpy.float32)
        values[f"biases{number}"] = biases.astype(numpy.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
            helper.make_node("Gemm", ["scaled", "weights0", "biases0"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("Gemm", ["active", "weights1", "biases1"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        "digits",
        inputs=[helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        outputs=[helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        initializer=[numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    # Old enough for every onnxruntime of the last years.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    network, accuracy = train()
    TARGET.parent.mkdir(exist_ok=True)
    onnx.save(as_onnx(network), TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, accuracy {accuracy:.3f}")
