"""Images by digest: what ``make pin-images`` makes of a Dockerfile, given a registry that wants an anonymous token."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

SCRIPT = Path(__file__).parents[1] / "pin_images.py"
OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


class Registry(BaseHTTPRequestHandler):
    """Answers as registries do: who has no token is told where to get one."""

    def do_HEAD(self) -> None:
        host = self.headers["Host"]
        if self.headers["Authorization"] != "Bearer of-everybody":
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Bearer realm="http://{host}/token",service="registry"')
        elif self.path == "/v2/library/python/manifests/3.11-slim" and "image.index" in self.headers["Accept"]:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", NEW)
        else:
            self.send_response(404)
        self.end_headers()

    def do_GET(self) -> None:
        content = json.dumps({"token": "of-everybody"}).encode()
        self.send_response(200 if "scope=repository%3Alibrary%2F" in self.path else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def pin(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)


def test_tags_get_the_digest_of_today(registry: str, tmp_path: Path) -> None:
    path, image = tmp_path / "Dockerfile", f"{registry}/library/python:3.11-slim"
    text = f"ARG BASE_IMAGE={image}\nFROM {image}@{OLD} AS uv\nFROM scratch AS none\nFROM ${{BASE_IMAGE}}\n"
    path.write_text(text)
    done = pin(path)
    assert (done.returncode, done.stdout) == (0, f"{path}: 2 images pinned\n"), done.stderr
    assert path.read_text() == text.replace(f"@{OLD}", "").replace(image, f"{image}@{NEW}")


def test_nothing_is_written_where_a_registry_does_not_answer(registry: str, tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(f"FROM {registry}/library/python:3.11-slim\nFROM {registry}/library/none:1\n")
    before = path.read_text()
    done = pin(path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"error: {registry}/library/none:1: HTTP Error 404: Not Found"
    assert path.read_text() == before


def test_all_images_of_the_dockerfiles_are_found() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pin_images\n"
        "for name in sys.argv[2:]: print(*pin_images.named_images(open(name).read()))"
    )
    folder = SCRIPT.parent
    command = [sys.executable, "-c", code, str(folder), f"{folder}/Dockerfile", f"{folder}/Dockerfile.gpu"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [[image.partition(":")[0] for image in line.split()] for line in lines] == [
        ["public.ecr.aws/docker/library/python", "ghcr.io/astral-sh/uv", "ghcr.io/mamba-org/micromamba"]
    ] * 2
