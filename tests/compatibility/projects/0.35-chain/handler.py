import json
import os
import urllib.request


class Handler:
    def __init__(self, config):
        self.next = config.get("next")

    def handle_post(self, payload):
        if self.next is None:
            return [*payload, "last"]
        url = f"{os.environ['CORTEX_BASE_URL']}/{self.next}"
        body = json.dumps([*payload, "first"]).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
