"""MLServer (``python mlserver_app.py HOST:PORT``).

For speed: everything in one process, without metrics, and a custom handler on plain JSON instead of its own protocol.
Batching (W3) understands nothing else than that protocol, and wants its process for inference, as it is set up when
nothing is said: else a batch that runs holds up the loop that collects the next one.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy
import orjson
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse
from starlette.requests import Request
from starlette.responses import Response
from workloads import BATCH_SECONDS, BATCH_SIZE, WORKLOAD, load, slow_batch


class Model(MLModel):
    async def load(self) -> bool:
        self.model = load()
        return True

    @custom_handler(rest_path="/predict")
    async def plain(self, request: Request) -> Response:
        body = await request.body()
        answer = self.model(body if WORKLOAD == "w4bytes" else orjson.loads(body))
        return Response(orjson.dumps(answer), media_type="application/json")

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        sums = [answer["sum"] for answer in slow_batch([{"values": row} for row in rows.tolist()])]
        outputs = [NumpyCodec.encode_output("sum", numpy.array(sums).reshape(-1, 1))]
        return InferenceResponse(model_name=self.name, outputs=outputs)


if __name__ == "__main__":
    host, port = sys.argv[1].split(":")
    folder = Path(tempfile.mkdtemp(prefix="bench-mlserver-"))
    server = {
        **{"host": host, "http_port": port, "grpc_port": 0, "metrics_port": 0, "metrics_endpoint": None},
        **{"parallel_workers": int(WORKLOAD == "w3"), "debug": False, "logging_settings": None},
    }
    batching = {"max_batch_size": BATCH_SIZE, "max_batch_time": BATCH_SECONDS} if WORKLOAD == "w3" else {}
    model = {"name": "model", "implementation": "mlserver_app.Model", **batching}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.execv(str(Path(sys.executable).with_name("mlserver")), ["mlserver", "start", str(folder)])
