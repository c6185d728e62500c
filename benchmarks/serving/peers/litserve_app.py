"""LitServe: its HTTP process and its one worker, with the queue between them that it has for speed (ZeroMQ)."""

import sys
from typing import Any

import fastapi
import litserve
from workloads import BATCH_SECONDS, BATCH_SIZE, WORKLOAD, load, slow_batch


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load()

    def decode_request(self, request: fastapi.Request) -> Any:
        return request

    def predict(self, x: Any) -> Any:
        return slow_batch(x) if WORKLOAD == "w3" else self.model(x)

    def encode_response(self, output: Any) -> Any:
        return output


if __name__ == "__main__":
    batching = {"max_batch_size": BATCH_SIZE, "batch_timeout": BATCH_SECONDS} if WORKLOAD == "w3" else {}
    server = litserve.LitServer(Api(**batching), accelerator="cpu", fast_queue=True)
    server.run(port=int(sys.argv[1].split(":")[1]), host="127.0.0.1", log_level="error", generate_client_file=False)
