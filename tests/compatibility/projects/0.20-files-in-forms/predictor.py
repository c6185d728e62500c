class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        image = payload["image"]
        text = image.file.read().decode()
        if payload["invert"] == "yes":
            text = text[::-1]
        return {"name": image.filename, "type": image.content_type, "text": text}
