"""Sends log lines to CloudWatch through watchtower. Logging never blocks.

Lines wait in a bounded queue. A thread feeds them to watchtower, which batches and sends. Lines that do not fit are
dropped and counted, and a later line reports the count. watchtower by itself gives up on a batch after five quick
tries, and has a queue without bound (aws.md 5.1): so its client is wrapped to wait out an outage, and its queue is kept
short.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from typing import Any

from cortex_serving.contract import MAX_LOG_LINE_BYTES, log_stream
from cortex_serving.logs.lines import line

SEND_INTERVAL = 1  # seconds; a line shows after this and CloudWatch's own delay
MAX_LINES = 20_000
MAX_BYTES = 16 * 1024 * 1024
MAX_MESSAGE_BYTES = MAX_LOG_LINE_BYTES + 1024  # watchtower cuts no line, because none is longer
_HANDED_OVER = 2_000  # lines that may wait inside watchtower
_LONGEST_PAUSE = 15.0
_NOT_FOUND = "ResourceNotFoundException"


class BoundedLines:
    """A queue of lines with bounds on count and bytes. A full queue drops lines and counts them."""

    def __init__(self) -> None:
        self._lines: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()

    def offer(self, created: float, content: bytes) -> None:
        """Add a line, or drop and count it. Never blocks.

        Args:
            created: Time of the line, in seconds since the epoch.
            content: The line.
        """
        with self._changed:
            if self._closed or len(self._lines) >= MAX_LINES or self._bytes + len(content) > MAX_BYTES:
                self._dropped += 1
                return
            self._lines.append((created, content))
            self._bytes += len(content)
            self._changed.notify()

    def take(self) -> list[tuple[float, bytes]] | None:
        """Wait for lines, and take all of them; return None if the queue is closed and empty."""
        with self._changed:
            while not self._lines and not self._closed:
                self._changed.wait()
            taken = list(self._lines)
            self._lines.clear()
            self._bytes = 0
            return taken or None

    def take_dropped(self) -> int:
        """Return the number of lines that were dropped since the last call."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def close(self) -> None:
        """Take no more lines."""
        with self._changed:
            self._closed = True
            self._changed.notify()


class PatientClient:
    """A Logs client that waits out outages, throttling and the lack of its log group until it is told to close.

    Args:
        client: boto3's client.
        closing: Set when no more time is left for waiting.
    """

    def __init__(self, client: Any, closing: threading.Event) -> None:
        self._client = client
        self._closing = closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_log_events(self, **arguments: Any) -> Any:
        """Call boto3's method; try again after transient errors, with growing pauses."""
        return self._patiently(self._client.put_log_events, arguments)

    def create_log_stream(self, **arguments: Any) -> Any:
        """Call boto3's method; try again after transient errors, with growing pauses."""
        return self._patiently(self._client.create_log_stream, arguments)

    def _patiently(self, call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        pause = 0.2
        while True:
            try:
                return call(**arguments)
            except BotoCoreError:
                if self._closing.is_set():
                    raise
            except ClientError as error:
                if self._closing.is_set() or not _heals(error.response):
                    raise
                if error.response["Error"]["Code"] == _NOT_FOUND:
                    self._make_stream(arguments)
            self._closing.wait(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _make_stream(self, arguments: dict[str, Any]) -> None:
        """Make the stream again that somebody has deleted, once its group is there.

        Not the group: replicas that outlive their API for a moment would make the group again, which would then stand
        in the way of the next API of that name.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        with contextlib.suppress(ClientError, BotoCoreError):
            self._client.create_log_stream(
                logGroupName=arguments["logGroupName"], logStreamName=arguments["logStreamName"]
            )


def _heals(response: Any) -> bool:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = response.get("Error", {}).get("Code", "")
    return (
        status >= 500
        or status == 429
        or "Throttl" in code
        or code in ("AccessDeniedException", "ExpiredTokenException", _NOT_FOUND)
    )


def stream_name(revision: str, metadata_url: str | None) -> str:
    """Name the log stream ``<revision>/<task id>``; outside a task, use the host and process instead of the task id.

    Args:
        revision: The deployed version of the API.
        metadata_url: ECS's metadata endpoint, or None.
    """
    task = f"{socket.gethostname()}-{os.getpid()}"
    if metadata_url:
        try:
            with urllib.request.urlopen(f"{metadata_url}/task", timeout=3) as answer:  # noqa: S310 - set by ECS
                task = json.load(answer)["TaskARN"].rsplit("/", 1)[-1]
        except (OSError, ValueError, KeyError):
            pass  # name the stream by the host: better than no logs
    return log_stream(revision, task)


class Shipper:
    """Sends lines to one stream of one log group, from a thread of its own.

    Args:
        group: The log group. Lines wait, and are counted when they become too many, while there is none.
        revision: First part of the stream's name.
        metadata_url: ECS's metadata endpoint, which knows the task id, or None.
    """

    def __init__(self, group: str, revision: str, metadata_url: str | None) -> None:
        self._group = group
        self._revision = revision
        self._metadata_url = metadata_url
        self._queue = BoundedLines()
        self._closing = threading.Event()
        self._handler: Any = None
        self._thread = threading.Thread(target=self._run, name="cloudwatch", daemon=True)
        self._thread.start()

    def offer(self, created: float, content: bytes) -> None:
        """Queue a line; see ``BoundedLines.offer``."""
        self._queue.offer(created, content)

    def close(self, timeout: float) -> None:
        """Send the waiting lines, for at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        self._closing.set()
        self._queue.close()
        self._thread.join(timeout)
        if self._handler is not None:
            self._handler.FLUSH_TIMEOUT = max(0.1, deadline - time.monotonic())
            self._handler.close()

    def _make_handler(self) -> Any:
        import boto3
        import watchtower
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        options = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1})
        client: Any = PatientClient(boto3.client("logs", config=options), self._closing)
        stream = stream_name(self._revision, self._metadata_url)
        # watchtower would create the stream too, but throws away the lines that come in the meantime.
        with contextlib.suppress(ClientError, BotoCoreError):
            client.create_log_stream(logGroupName=self._group, logStreamName=stream)
        return watchtower.CloudWatchLogHandler(
            log_group_name=self._group,
            log_stream_name=stream,
            send_interval=SEND_INTERVAL,
            max_message_size=MAX_MESSAGE_BYTES,
            create_log_group=False,
            boto3_client=client,
        )

    def _run(self) -> None:
        self._handler = self._make_handler()
        while (lines := self._queue.take()) is not None:
            for created, content in lines:
                self._hand_over(created, content)
            if dropped := self._queue.take_dropped():
                message = (
                    f"{dropped} log lines did not reach CloudWatch: it could not be reached, or they came too fast"
                )
                self._hand_over(time.time(), line("WARNING", message, dropped=dropped))

    def _hand_over(self, created: float, content: bytes) -> None:
        while self._waiting() >= _HANDED_OVER and not self._closing.is_set():
            time.sleep(0.05)
        record = logging.makeLogRecord({"msg": content.decode("utf-8", "replace"), "created": created})
        self._handler.emit(record)

    def _waiting(self) -> int:
        return sum(queue.qsize() for queue in self._handler.queues.values())
