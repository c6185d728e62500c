from fastapi import HTTPException
from starlette.responses import Response


class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if not payload:
            raise HTTPException(status_code=422, detail="empty")
        return Response(payload[::-1], status_code=202, media_type="text/csv")
