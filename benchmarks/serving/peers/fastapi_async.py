"""FastAPI on uvicorn with an async handler, and orjson as those who want speed use it."""

import orjson
from fastapi import FastAPI, Request, Response
from workloads import WORKLOAD, load

app = FastAPI()
model = load()


@app.post("/")
async def predict(request: Request) -> Response:
    body = await request.body()
    answer = model(body if WORKLOAD == "w4bytes" else orjson.loads(body))
    return Response(orjson.dumps(answer), media_type="application/json")
