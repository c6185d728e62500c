"""Ray Serve."""

import sys
import time
from typing import Any

from ray import serve
from starlette.requests import Request
from workloads import BATCH_SECONDS, BATCH_SIZE, WORKLOAD, load, slow_batch


@serve.deployment(max_ongoing_requests=256)
class Api:
    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=BATCH_SIZE, batch_wait_timeout_s=BATCH_SECONDS)
    async def many(self, payloads: list[Any]) -> list[Any]:
        return slow_batch(payloads)

    async def __call__(self, request: Request) -> Any:
        if WORKLOAD == "w3":
            return await self.many(await request.json())
        return self.model(await request.body() if WORKLOAD == "w4bytes" else await request.json())


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1].split(":")[1])})
    serve.run(Api.bind())
    while True:
        time.sleep(60)
