"""FastAPI on uvicorn as Cortex had it: the body is parsed first, predict runs in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from workloads import WORKLOAD, load

app = FastAPI()
model = load()
pool = ThreadPoolExecutor(1)


@app.post("/")
async def predict(request: Request) -> dict[Any, Any]:
    payload = await request.body() if WORKLOAD == "w4bytes" else await request.json()
    return await run_in_threadpool(model, payload)
