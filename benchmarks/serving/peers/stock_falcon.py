"""Falcon on waitress as both come: the mark that the speed target is measured against."""

import sys

import falcon
import orjson
import waitress


class Predict:
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        payload = orjson.loads(req.bounded_stream.read())
        resp.data = orjson.dumps({"sum": sum(payload["values"])})


app = falcon.App()
app.add_route("/", Predict())
waitress.serve(app, listen=sys.argv[1], threads=4)
