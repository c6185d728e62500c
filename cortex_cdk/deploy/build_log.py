"""The log of an image build, as a person wants to read it: followed while it is written, and asked why it ended.

The lines come from CloudWatch. On AWS they are what Docker's BuildKit writes (``#9 1.23 text`` for the output of a
step, and much about layers), in the local cloud the bare text. ``serving_image/install.sh`` writes what is at work
(``==> requirements.txt``), that all is done (``==> installed``), and ``error:`` and ``hint:`` where it gives up itself.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_serving.contract import CONDA_FILE, DEPENDENCIES_SCRIPT, REQUIREMENTS_FILE

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.deploy.build_causes import CONCLUSION, UNSATISFIABLE, find_cause, full_disk
from cortex_cdk.home import build_logs_folder

_STEP_OUTPUT = re.compile(r"#\d+ \d+\.\d+ (.*)")
_BUILDKIT_ERROR = re.compile(r"#\d+ ERROR: (?!process )(.*)")
_NOISE = re.compile(
    r"#\d+ |\[Container\]|[0-9a-f]{12}: |Activate with: |The push refers to repository |"
    r"WARNING! Your (?:password|credentials)|Configure a credential helper|https://docs.docker.com/go/credential-store"
)
_SUMMARY = "------"
_OVER = re.compile(r"\[Container\] .*Phase context status code: COMMAND_EXECUTION_ERROR")
SCRIPT, INSTALLED = DEPENDENCIES_SCRIPT, "installed"
_FILES = (".python-version", SCRIPT, CONDA_FILE, REQUIREMENTS_FILE)
# Of these no file of the project is the cause.
_OURS = ("Python", "dependencies of the serving program", "the serving program", INSTALLED)
# Of these uv says "error:" once, before it ends.
_INSTALLED_BY_UV = (REQUIREMENTS_FILE, *_OURS)
_LAST_WORDS = re.compile("error: ")
_STEP = re.compile(rf"==> ({'|'.join(map(re.escape, _FILES + _OURS))})\b")
# BuildKit repeats an error at its end with the Dockerfile's lines around it: all of that was said before.
_FAILED_TO_SOLVE = "ERROR: failed to solve: "
_ERROR = re.compile(r"(?:error|ERROR|E|fatal): (.+)|(?:critical|error) +libmamba (.+)|(\w+Error: .+)")
_CONDA_MISSES = re.compile(r"[\W_]*(\S+.* does not exist \(.*\))\.?")
_HINT = re.compile(r"hint: (.+)")
_OUR_HINT = re.compile(r"hint: (the extra-index-url of your pip configuration .+)")
_CAUSE = "cause:"
# What says nothing about why.
_EMPTY = re.compile(
    r"subprocess-exited-with-error|ResolutionImpossible|No matching distribution found|dependencies.sh ended with"
)
_VERSION = re.compile(r"\s+[\w.-]+[=<>!~]\S+")
_SAID_BETTER = re.compile(r"Using Python |error: No solution found ")
_EXIT_STATUS = re.compile(r"dependencies.sh ended with exit status (\d+)")
LISTED = 3
"""Versions of a package that are shown in full."""
LOGS_KEPT = 20
SETTLING_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)


class BuildLog:
    """Reads the log of one build.

    Args:
        cloud: A session of the environment.
        group: The log group.
        stream: The log stream; it may not exist yet.

    Attributes:
        lines: What was read so far, without what is of no use to people.
    """

    def __init__(self, cloud: Cloud, group: str, stream: str) -> None:
        self._cloud = cloud
        self._group = group
        self._stream = stream
        self._token: str | None = None
        self._in_summary = self._is_over = False
        self._step: str | None = None
        self._has_failed = False  # at this step
        self.lines: list[str] = []

    def new(self) -> list[str]:
        """Return the lines that came since the last call, up to an error: ``failure`` tells what counts of that."""
        fresh = [line for message in self._messages() if (line := self._readable(message)) is not None]
        self.lines += fresh
        return [line for line in fresh if not self._fails(line)]

    def _fails(self, line: str) -> bool:
        """Whether a line belongs to an error of uv's, which may take thousands to say that versions do not fit."""
        if match := _STEP.match(line):
            self._step, self._has_failed = match[1], False
        elif self._step in _INSTALLED_BY_UV and _LAST_WORDS.match(line):
            self._has_failed = True
        return self._has_failed

    def settle(self) -> list[str]:
        """Return the last lines of a build that has failed, which CloudWatch may show a little later."""
        fresh: list[str] = []
        for pause in SETTLING_SECONDS:
            time.sleep(pause)
            fresh += self.new()
            if self._is_over:
                break
        return fresh

    def _messages(self) -> list[str]:
        from botocore.exceptions import ClientError

        found: list[str] = []
        while True:
            start: dict[str, Any] = {"nextToken": self._token} if self._token else {}
            try:
                page = self._cloud.logs.get_log_events(
                    logGroupName=self._group, logStreamName=self._stream, startFromHead=True, **start
                )
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return found
                raise
            found += [event.get("message", "") for event in page["events"]]
            # At its end a stream answers with the token that it was given. Pages before that may be empty.
            ended = page["nextForwardToken"] == self._token
            self._token = page["nextForwardToken"]
            if ended:
                return found

    def _readable(self, message: str) -> str | None:
        text = message.rstrip()
        output, error = _STEP_OUTPUT.match(text), _BUILDKIT_ERROR.match(text)
        if output or error:
            found = output[1] if output else f"error: {error[1]}" if error else ""
            return found.rstrip() or None
        self._in_summary = self._in_summary or text == _SUMMARY
        self._is_over = self._is_over or _OVER.match(text) is not None
        if self._in_summary or not text or _NOISE.match(text) or text.startswith(_FAILED_TO_SOLVE):
            return None
        return text


@dataclass(frozen=True)
class Failure:
    """Why a build failed, as far as its log says.

    Attributes:
        file: The file of the project that was at work; None where none was.
        installed: Whether everything had been installed: only writing or storing the image was left.
        reason: One line, or None where nothing was written.
        hint: What to do about it; None where that is not known.
        details: What else was written about this file.
    """

    file: str | None
    installed: bool
    reason: str | None
    hint: str | None
    details: tuple[str, ...]


def failure(lines: Sequence[str]) -> Failure:
    """Find out from the log of a build why it failed.

    Args:
        lines: The log, as ``BuildLog`` reads it.
    """
    steps = [(index, match[1]) for index, line in enumerate(lines) if (match := _STEP.match(line))]
    start, step = steps[-1] if steps else (-1, None)
    after = lines[start + 1 :]
    # uv's hints come last, may have several paragraphs, and speak of its own options.
    if step == SCRIPT:
        said = [line for line in after if not _HINT.match(line)]
    else:
        said = list(itertools.takewhile(lambda line: not _HINT.match(line), after))
    gave_up, cause = _gave_up(lines), find_cause(lines) if step in _INSTALLED_BY_UV else None
    our_hint = next((match[1] for line in after if (match := _OUR_HINT.match(line))), None)
    reason: str | None
    hint: str | None
    if full := full_disk(lines):
        reason, hint = full.reason, full.hint
    elif gave_up:
        reason, hint = gave_up
    elif cause:
        reason, hint = cause.reason, cause.hint or our_hint
    else:
        reason = _end_of_script(said) if step == SCRIPT else _first_error(said) or _last_words(said)
        hint = our_hint
    return Failure(
        file=step if step in _FILES else None,
        installed=step == INSTALLED,
        reason=reason and reason.removeprefix(f"{SCRIPT}: "),
        hint=hint,
        details=tuple(_without_lists(line for line in said if not _repeats(line, reason or ""))),
    )


def _without_lists(lines: Iterable[str]) -> Iterator[str]:
    """Shorten lists of versions, each in a line of its own: they may be as long as a package is old."""
    for is_list, group in itertools.groupby(lines, lambda line: _VERSION.fullmatch(line) is not None):
        entries = list(group)
        if is_list and len(entries) > LISTED:
            entries[1:-1] = [f"{entries[0][: -len(entries[0].lstrip())]}... ({len(entries) - 2} more)"]
        yield from entries


def _repeats(line: str, reason: str) -> bool:
    """Whether a line adds nothing to the reason."""
    text = line.strip()
    if _SAID_BETTER.match(text) or text.endswith(UNSATISFIABLE):
        return True
    for prefix in ("error: ", "ERROR: ", f"{_CAUSE} ", "And because ", "Because "):
        text = text.removeprefix(prefix)
    premise, concludes, _ = text.partition(CONCLUSION)
    if concludes and premise in reason:
        return True
    return reason in (text, line.strip()) or reason.startswith(f"{text}: ") or reason.endswith(f": {text}")


def keep_log(lines: Sequence[str], tag: str) -> Path | None:
    """Write the log of a build that failed to a file of the user's; those of the newest failures are kept.

    Args:
        lines: The log.
        tag: The tag of the image that was not built.

    Returns:
        The file; None where it cannot be written.
    """
    folder = build_logs_folder()
    path = folder / f"{tag}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        for old in sorted(folder.glob("*.log"), key=lambda each: each.stat().st_mtime)[:-LOGS_KEPT]:
            old.unlink()
    except OSError:
        return None
    return path


def is_step(line: str) -> bool:
    """Whether a line says that the next file of the project is at work from here on."""
    return _STEP.match(line) is not None


def _gave_up(lines: Sequence[str]) -> tuple[str, str] | None:
    """What ``install.sh`` says last where it gives up itself, and what it proposes."""
    *_, error, last = ("", "", *lines)
    hint = _HINT.match(last)
    return (error.removeprefix("error: "), hint[1]) if error.startswith("error: ") and hint else None


def _first_error(lines: Sequence[str]) -> str | None:
    """The first error of uv, pip, conda or Docker, with its cause where that follows."""
    missing = next((match[1] for line in lines if (match := _CONDA_MISSES.fullmatch(line))), None)
    if missing:
        return missing
    errors = [(index, match) for index, line in enumerate(lines) if (match := _ERROR.match(line.strip()))]
    telling = [error for error in errors if not _EMPTY.search(error[1][0])] or errors
    if not telling:
        return None
    index, match = telling[0]
    text = next(group for group in match.groups() if group)
    following = lines[index + 1].strip() if index + 1 < len(lines) else ""
    return f"{text}: {following.removeprefix(_CAUSE).strip()}" if following.startswith(_CAUSE) else text


def _end_of_script(lines: Sequence[str]) -> str | None:
    """What a script said last, with its exit status where that does not read like an error."""
    words = _last_words(lines)
    status = next((match[1] for line in reversed(lines) if (match := _EXIT_STATUS.search(line))), None)
    if words and status and ":" not in words and not _EXIT_STATUS.search(words):
        return f"it ended with exit status {status}, after it had said: {words}"
    return words


def _last_words(lines: Sequence[str]) -> str | None:
    """What was said last: a script ends with the command that failed, and nothing is nearer to it."""
    words = [line.strip() for line in lines]
    return next((line for line in reversed(words) if not _EMPTY.search(line)), words[-1] if words else None)
