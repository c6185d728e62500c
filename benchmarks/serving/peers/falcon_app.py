"""Falcon with nothing around it, for waitress (``python falcon_app.py HOST:PORT``) and for granian."""

import sys

import falcon
import orjson
from workloads import WORKLOAD, load

model = load()


class Predict:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = req.bounded_stream.read()
        resp.data = orjson.dumps(model(body if WORKLOAD == "w4bytes" else orjson.loads(body)))


app = falcon.App()
app.add_route("/", Predict())

if __name__ == "__main__":
    import waitress

    waitress.serve(app, listen=sys.argv[1], threads=4)
