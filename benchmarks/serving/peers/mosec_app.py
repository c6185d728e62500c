"""mosec, with orjson as those who want speed use it (takes its address from the command line)."""

from typing import Any

import orjson
from mosec import Server, Worker
from workloads import BATCH_SECONDS, BATCH_SIZE, WORKLOAD, load, slow_batch


class Plain(Worker):
    def deserialize(self, data: bytes) -> Any:
        return data if WORKLOAD == "w4bytes" else orjson.loads(data)

    def serialize(self, data: Any) -> bytes:
        return orjson.dumps(data)


class Single(Plain):
    def __init__(self) -> None:
        self.model = load()

    def forward(self, data: Any) -> Any:
        return self.model(data)


class Batched(Plain):
    def forward(self, data: list[Any]) -> list[Any]:
        return slow_batch(data)


if __name__ == "__main__":
    server = Server()
    if WORKLOAD == "w3":
        server.append_worker(Batched, max_batch_size=BATCH_SIZE, max_wait_time=int(BATCH_SECONDS * 1000))
    else:
        server.append_worker(Single)
    server.run()
