"""Flask on gunicorn with threads, and orjson as those who want speed use it."""

import orjson
from flask import Flask, Response, request
from workloads import WORKLOAD, load

app = Flask(__name__)
model = load()


@app.post("/")
def predict() -> Response:
    body = request.get_data()
    answer = model(body if WORKLOAD == "w4bytes" else orjson.loads(body))
    return Response(orjson.dumps(answer), mimetype="application/json")
