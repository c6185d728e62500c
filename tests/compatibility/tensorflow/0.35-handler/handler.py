labels = ["setosa", "versicolor", "virginica"]


class Handler:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client

    def handle_post(self, payload):
        prediction = self.client.predict({name: [value] for name, value in payload.items()})
        return {"label": labels[int(prediction["class_ids"][0])], "scores": len(prediction["probabilities"])}
