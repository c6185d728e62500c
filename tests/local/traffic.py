"""Clients that keep sending, and a count of what they got."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass
class Answers:
    """What the clients got: answers by kind, and the first few failures."""

    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Traffic:
    """Clients that POST one body, each to one endpoint over its own connection, until the block ends.

    Args:
        endpoints: Where to; several get equal parts of the clients.
        body: What to send, as JSON.
        classify: Names the kind of a 200's body; raises where it is not a valid answer.
        clients: How many at a time.
        pause: Seconds between an answer and the client's next request: endless loops of many clients would leave
            the replicas no processor on a small machine.
    """

    def __init__(
        self,
        endpoints: str | Sequence[str],
        body: Any,
        classify: Callable[[Any], str],
        clients: int = 8,
        pause: float = 0.05,
    ) -> None:
        urls = itertools.cycle(map(urllib.parse.urlsplit, [endpoints] if isinstance(endpoints, str) else endpoints))
        self._body = json.dumps(body)
        self._classify = classify
        self._pause = pause
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send_until_stopped, args=[next(urls)]) for _ in range(clients)]
        self.answers = Answers()

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, kind: str, more: int = 20) -> None:
        """Wait until that many more answers of a kind have come."""
        wanted = self.answers.kinds[kind] + more
        for _ in range(600):
            if self.answers.kinds[kind] >= wanted:
                return
            self._stop.wait(0.05)
        raise AssertionError(f"no {more} more answers of kind {kind!r}: {self.answers}")

    def wait_for_any(self, more: int = 100) -> None:
        """Wait until that many more answers of whatever kind have come."""
        wanted = sum(self.answers.kinds.values()) + more
        for _ in range(600):
            if sum(self.answers.kinds.values()) >= wanted:
                return
            self._stop.wait(0.05)
        raise AssertionError(f"no {more} more answers: {self.answers}")

    def _send_until_stopped(self, url: urllib.parse.SplitResult) -> None:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        while not self._stop.is_set():
            try:
                connection.request("POST", url.path, self._body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                kind = self._classify(json.loads(text)) if answer.status == 200 else f"status {answer.status}"
                problem = None if answer.status == 200 else f"{answer.status} {text[:200]!r}"
            except Exception as error:
                kind, problem = type(error).__name__, repr(error)
                connection.close()
            with self._lock:
                self.answers.kinds[kind] += 1
                if problem and len(self.answers.failures) < 20:
                    self.answers.failures.append(problem)
            self._stop.wait(self._pause)
        connection.close()
