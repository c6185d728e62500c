"""FastAPI on uvicorn with an async handler."""

from fastapi import FastAPI, Request
from workloads import WORKLOAD, load

app = FastAPI()
model = load()


@app.post("/")
async def predict(request: Request) -> dict:
    return model(await request.body() if WORKLOAD == "w4bytes" else await request.json())
