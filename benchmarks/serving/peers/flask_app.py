"""Flask on gunicorn with threads."""

from flask import Flask, jsonify, request
from workloads import WORKLOAD, load

app = Flask(__name__)
model = load()


@app.post("/")
def predict():
    return jsonify(model(request.get_data() if WORKLOAD == "w4bytes" else request.get_json()))
