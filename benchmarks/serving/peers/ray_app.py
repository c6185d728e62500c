"""Ray Serve: one proxy and one replica, on one core like the others (``python ray_app.py HOST:PORT``)."""

import sys
import time
from typing import Any

import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from workloads import BATCH_SECONDS, BATCH_SIZE, WORKLOAD, load, slow_batch


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class Api:
    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=BATCH_SIZE, batch_wait_timeout_s=BATCH_SECONDS)
    async def many(self, payloads: list[Any]) -> list[Any]:
        return slow_batch(payloads)

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        payload = body if WORKLOAD == "w4bytes" else orjson.loads(body)
        answer = await self.many(payload) if WORKLOAD == "w3" else self.model(payload)
        return Response(orjson.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    host, port = sys.argv[1].split(":")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    serve.start(http_options={"host": host, "port": int(port)}, logging_config={"enable_access_log": False})
    serve.run(Api.bind())  # type: ignore[attr-defined]
    while True:
        time.sleep(60)
