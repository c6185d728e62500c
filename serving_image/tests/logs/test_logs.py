"""What predictors, their processes and C code print and log: always lines of JSON, none too long, none lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests

from tests.conftest import PATIENCE, SERVE, Serve, eventually, write_project

LONGEST = 256 * 1024


def test_print_logging_and_child_output_are_json_lines(serve: Serve) -> None:
    replica = serve(
        """
        import logging, os, sys
        class PythonPredictor:
            def __init__(self, config):
                print("building", end="")
                print(" now")
            def predict(self, payload):
                print("printed")
                logging.getLogger("mine").info("logged %d", 1)
                os.system("echo from a child")
                print("to stderr", file=sys.stderr)
                return payload
        """
    )
    replica.post(1, headers={"X-Request-Id": "r-1"})
    eventually(lambda: replica.messages(message="from a child"))
    assert replica.stop() == 0
    assert replica.messages(source="stdout", worker=0)[0] == "building now"
    assert replica.messages(request_id="r-1", source="stdout") == ["printed"]
    assert replica.messages(request_id="r-1", source="stderr") == ["to stderr"]
    assert replica.messages(request_id="r-1", logger="mine", level="INFO") == ["logged 1"]
    assert not replica.broken


PRINTING = """
import logging, os, sys
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        exec(payload)
        return "done"
"""

TEXTS = {
    "not UTF-8": (r"os.write(1, b'\xff\xfe\n')", ["\ufffd\ufffd"]),
    "NUL": (r"print('a\0b'); os.write(1, b'c\0d\n')", ["a\0b", "c\0d"]),
    "lone surrogate": (r"print('\ud800')", ["\\ud800"]),
    "lone surrogate, logged": (r"logging.warning('\ud800 %d', 2**70)", [f"\\ud800 {2**70}"]),
    "progress bar": (
        r"[sys.stderr.write(f'\r{n}/5') for n in range(1, 6)]; sys.stderr.write('\n'); os.write(2, b'\r1/2\r2/2\n')",
        ["5/5", "2/2"],
    ),
    "CR LF": (r"print('one\r'); os.write(1, b'two\r\n')", ["one", "two"]),
    "no newline": (r"print('one', end=''); os.write(1, b'two')", ["one", "two"]),
    "no newline, in a thread": (
        "import threading; t = threading.Thread(target=lambda: print('one', end='')); t.start(); t.join()",
        ["one"],
    ),
    "bytes": (r"sys.stdout.reconfigure(line_buffering=True); sys.stdout.buffer.write(b'one\n')", ["one"]),
    "closed": ("sys.stdout.close(); print('one')", ["one"]),
    "like ours": (
        r"""print('{"time":"now"}'); os.write(1, b'{"time":"then"}\n')""",
        ['{"time":"now"}', '{"time":"then"}'],
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_whatever_is_printed_is_a_line_of_json(serve: Serve, case: str) -> None:
    code, messages = TEXTS[case]
    replica = serve(PRINTING)
    assert replica.post(code).text == "done"
    assert replica.stop() == 0
    assert not replica.broken
    printed = [record for record in replica.lines if record.get("source") in ("stdout", "stderr", "log")]
    assert sorted(record["message"] for record in printed) == sorted(messages)
    assert all(record["worker"] == 0 for record in printed)


@pytest.mark.parametrize("how", ["print({})", "logging.warning({})", "os.write(1, {}.encode() + b'\\n')"])
@pytest.mark.parametrize("text", ["'ab' * 500_000", "'\\0\\n' * 100_000 + '|'", "'\u20ac' * 300_000"])
def test_a_long_text_is_cut_into_lines_that_cloudwatch_takes(serve: Serve, how: str, text: str) -> None:
    replica = serve(PRINTING)
    assert replica.post(how.format(f"({text})")).text == "done"
    assert replica.stop() == 0
    assert not replica.broken
    printed = [record for record in replica.lines if record.get("source") in ("stdout", "log")]
    assert max(len(json.dumps(record, ensure_ascii=False).encode()) for record in printed) < LONGEST
    whole = "".join(record["message"] for record in printed)
    expected = eval(text)
    for character in "ab|\u20ac":
        assert whole.count(character) == expected.count(character)


def test_of_an_endless_text_only_the_length_is_logged_in_the_end(serve: Serve) -> None:
    replica = serve(PRINTING)
    assert replica.post("print('x' * 9_000_000)").text == "done"
    assert replica.stop() == 0
    printed = [record for record in replica.lines if record.get("source") == "stdout"]
    assert [record["part"] for record in printed] == [f"{n}/{len(printed)}" for n in range(1, len(printed) + 1)]
    assert printed[-1]["message"].endswith("x [5000000 more characters]")


def test_threads_and_processes_that_print_at_once(serve: Serve) -> None:
    replica = serve(
        """
        import multiprocessing, os, sys, threading
        def shout(mark):
            for n in range(50):
                print(mark * 10_000)
                print(mark * 20_000, file=sys.stderr)
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                context = multiprocessing.get_context("fork")
                processes = [context.Process(target=shout, args=(mark,)) for mark in "abc"]
                threads = [threading.Thread(target=shout, args=(mark,)) for mark in "de"]
                for each in processes + threads:
                    each.start()
                for each in processes + threads:
                    each.join()
                return "done"
        """
    )
    assert replica.post().text == "done"
    assert replica.stop() == 0
    assert not replica.broken
    for mark in "abcde":
        assert replica.messages(source="stdout").count(mark * 10_000) == 50
        assert replica.messages(source="stderr").count(mark * 20_000) == 50


def test_a_process_that_is_killed_while_it_prints(serve: Serve) -> None:
    replica = serve(
        """
        import os, threading
        class PythonPredictor:
            def __init__(self, config):
                os.write(2, b"no newline")
            def predict(self):
                def shout():
                    while True:
                        print("x" * 200_000)
                threading.Thread(target=shout, daemon=True).start()
                return str(os.getpid())
        """
    )
    os.kill(int(replica.post().text), signal.SIGKILL)
    replica.wait_for("worker_died")
    replica.wait_for("worker_ready")
    assert replica.stop() == 0
    assert not replica.broken
    assert replica.messages(source="stderr") == ["no newline"] * 2


def test_a_record_that_cannot_be_formatted_is_one_line_that_says_where(serve: Serve) -> None:
    replica = serve(PRINTING)
    assert replica.post("logging.info('%d', 'x')").text == "done"
    assert replica.stop() == 0
    [message] = replica.messages(source="log", level="ERROR")
    assert "cannot log '%d' with ('x',): TypeError: %d format" in message
    assert not replica.messages(source="stderr")


def test_what_is_given_beside_a_message_are_fields(serve: Serve) -> None:
    replica = serve(PRINTING)
    given = """{"user": "ann", "items": 3, "source": "a form", "self": 1, "nested": {"a": [1, None]}, "odd": object}"""
    replica.post(f"logging.info('scored', extra={given})")
    replica.post("import numpy; logging.info('of numpy', extra={'score': numpy.float32(0.5)})")
    replica.post("logging.info('huge', extra={f'field_{n}': ['\\x00' * 9000] * 2 for n in range(60)})")
    replica.post("logging.info('odd', extra={7: {8: 9}, 'large': 2**70, 'half': '\\ud800'})")
    eventually(lambda: replica.messages(message="odd"))
    (scored,) = replica.records(message="scored")
    assert (scored["user"], scored["items"], scored["nested"]) == ("ann", 3, {"a": [1, None]})
    assert (scored["source"], scored["extra_source"], scored["extra_self"]) == ("log", "a form", 1)
    assert scored["odd"] == "<class 'object'>"
    assert replica.records(message="of numpy")[0]["score"] == 0.5
    assert replica.records(message="huge")[0]["field_0"].startswith("['\\x00")
    assert not replica.broken


def test_a_warning_is_one_record(serve: Serve) -> None:
    replica = serve(PRINTING)
    assert replica.post("import warnings; warnings.warn('slow')").text == "done"
    assert replica.stop() == 0
    assert ["UserWarning: slow" in message for message in replica.messages(level="WARNING")] == [True]


def test_a_progress_bar_is_logged_while_it_goes_on(serve: Serve) -> None:
    replica = serve(
        """
        import sys, time
        class PythonPredictor:
            def __init__(self, config): pass
            def predict(self):
                for n in range(140):
                    sys.stderr.write(f"\\r{n}/140")
                    time.sleep(0.05)
                sys.stderr.write("\\rdone\\n")
                return "done"
        """
    )
    assert replica.post().text == "done"
    eventually(lambda: "done" in replica.messages(source="stderr"))
    going, done = replica.messages(source="stderr")
    assert going.endswith("/140")
    assert done == "done"


def test_an_exception_that_is_ignored_is_one_record(serve: Serve) -> None:
    replica = serve(PRINTING)
    code = "class Odd:\n    def __del__(self): 1 / 0\nOdd(); import atexit; atexit.register(lambda: [].pop())"
    assert replica.post(code).text == "done"
    assert replica.stop() == 0
    odd, end = replica.messages(source="stderr", level="ERROR")
    assert odd.startswith("Exception ignored in: <function Odd.__del__ at ")
    assert odd.endswith("ZeroDivisionError: division by zero")
    assert end.endswith("IndexError: pop from empty list")


def test_what_nobody_reads_is_dropped_and_counted(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", PRINTING)
    with subprocess.Popen([*SERVE, str(project), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            records = (json.loads(text) for text in process.stdout)
            address = next(record for record in records if record.get("event") == "listening")["port"]
            next(record for record in records if record.get("event") == "ready")
            url = f"http://127.0.0.1:{address}/api"
            for _ in range(40):
                assert requests.post(url, json="print('x' * 3_900_000)", timeout=PATIENCE).text == "done"
            memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
            assert int(memory) * 1024 < 140_000_000
            dropped = next(record for record in records if "dropped" in record)
            assert dropped["message"] == f"{dropped['dropped']} log lines were dropped: standard output was not read"
        finally:
            process.kill()
