"""Checks the health of targets, as their target groups say.

Source: "Health checks for your target groups" of the Application Load Balancer guide. A new target is healthy after one
passed check, an unhealthy target after as many passed checks as the threshold says.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_cdk.localcloud import steady_clock
from cortex_cdk.localcloud.services.elbv2.health_probe import Answer, Probe, Probes
from cortex_cdk.localcloud.services.elbv2.targets import Target, TargetGroup, groups
from cortex_cdk.localcloud.state_lock import STATE_LOCK

logger = logging.getLogger(__name__)

INITIAL_INTERVAL = 0.1
SLOW_INITIAL_INTERVAL = 0.5
"""Seconds between checks of a target that has never been healthy, before and after ``SLOW_START``."""
SLOW_START = 10.0
CHECKS_A_SECOND = 40
"""How many checks of healthy targets there are at most, as long as each target is checked as often as configured."""
LONGEST_SLEEP = 0.25
SHORTEST_SLEEP = 0.05
"""Seconds between two looks at all targets. Checks that are due meanwhile start together: a look for each would cost
the more, the more targets there are."""


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        passed: Whether the answer's status is in the matcher.
        reason: Reason code of a failure.
        detail: Description of a failure.
    """

    passed: bool
    reason: str | None = None
    detail: str | None = None


UNREADY = CheckResult(False, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]")
"""The result for a target whose checks are made to fail: that of a replica which says that it is not ready."""


@dataclass(frozen=True)
class Check:
    """How a target group checks its targets.

    Attributes:
        path: Path and query of the request.
        codes: Status codes that pass.
        timeout: Seconds until a check has failed.
        interval: Seconds between checks.
        healthy_threshold: Passed checks in a row that make an unhealthy target healthy.
        unhealthy_threshold: Failed checks in a row that make a target unhealthy.
    """

    path: str
    codes: frozenset[int]
    timeout: float
    interval: float
    healthy_threshold: int
    unhealthy_threshold: int

    @classmethod
    def of(cls, group: TargetGroup, speed: float) -> Check:
        """Return the check of a target group, its interval divided by ``speed``."""
        return cls(
            path=group.health_check_path or "/",
            codes=status_codes(str((group.matcher or {}).get("HttpCode") or "200")),
            timeout=float(group.health_check_timeout_seconds),
            interval=float(group.health_check_interval_seconds) / speed,
            healthy_threshold=int(group.healthy_threshold_count),
            unhealthy_threshold=int(group.unhealthy_threshold_count),
        )


def status_codes(matcher: str) -> frozenset[int]:
    """Return the codes that a matcher such as ``200,301-303`` names."""
    codes: set[int] = set()
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        codes.update(range(int(first), int(last or first) + 1))
    return frozenset(codes)


@dataclass
class _Progress:
    """The state of a target between two checks."""

    started_at: float
    due_at: float
    passed: int = 0
    failed: int = 0
    running: bool = False


@dataclass(frozen=True)
class _Running:
    """A check that waits for its answer."""

    target: Target
    progress: _Progress
    check: Check


class HealthChecker:
    """Checks every registered target, from one thread.

    Args:
        speed: How many times shorter than configured the intervals are, once a target has been healthy (less with very
            many targets).
        on_change: Is called, from the checker's thread, when a target's state has changed.
    """

    def __init__(self, speed: float, on_change: Callable[[], None]) -> None:
        self._speed = speed
        self._on_change = on_change
        self._progress: dict[tuple[str, str, int], _Progress] = {}
        self._probes = Probes[_Running]()
        self._looks_at = 0.0
        self._woken = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="health-checker", daemon=True)

    def open(self) -> None:
        """Start checking."""
        self._thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._closing = True
        self.wake()
        self._thread.join()
        self._probes.close()

    def wake(self) -> None:
        """Look for new targets now."""
        self._woken = True
        self._probes.wake()

    def _run(self) -> None:
        while not self._closing:
            self._woken = False
            now = time.monotonic()
            self._looks_at = max(self._start_due_checks(now), now + SHORTEST_SLEEP)
            while not self._woken and (left := self._looks_at - time.monotonic()) > 0:
                for running, answer in self._probes.answers(left):
                    self._finish(running, _result(running.check, answer))

    def _start_due_checks(self, now: float) -> float:
        """Start the checks that are due. Return the time of the next one, on the monotonic clock."""
        seen = set()
        next_due = now + LONGEST_SLEEP
        with STATE_LOCK:
            watched = [(group, target) for group in groups() for target in group.registered.values()]
        for group, target in watched:
            key = (group.arn, target.id, target.port)
            if target.state == "draining":
                continue
            seen.add(key)
            progress = self._progress.setdefault(key, _Progress(started_at=now, due_at=now))
            if not progress.running and progress.due_at <= now:
                self._start(group, target, progress)
            if not progress.running:
                next_due = min(next_due, progress.due_at)
        for key in self._progress.keys() - seen:
            del self._progress[key]
        return next_due

    def _start(self, group: TargetGroup, target: Target, progress: _Progress) -> None:
        try:
            running = _Running(target, progress, Check.of(group, self._speed))
            progress.running = True
            if steady_clock.now() < target.failing_until:
                self._finish(running, UNREADY)
            else:
                self._probes.start(Probe(target.port, running.check.path, running.check.timeout), running)
        except Exception:
            # The settings of a target group may make no sense. The target is checked again when they have been mended.
            logger.exception("The target %s:%d could not be checked.", target.id, target.port)
            progress.due_at = time.monotonic() + SLOW_INITIAL_INTERVAL
            progress.running = False

    def _finish(self, running: _Running, result: CheckResult) -> None:
        target, progress, check = running.target, running.progress, running.check
        with STATE_LOCK:
            before = (target.state, target.reason)
            if target.state != "draining":
                _judge(target, progress, check, result)
            changed = (target.state, target.reason) != before
        interval = (
            usual_interval(check, self._speed, len(self._progress))
            if target.was_healthy
            else _initial_interval(progress)
        )
        progress.due_at = time.monotonic() + interval
        progress.running = False
        self._looks_at = min(self._looks_at, progress.due_at)
        if changed:
            self._on_change()


def usual_interval(check: Check, speed: float, targets: int) -> float:
    """Return the seconds to the next check of a target that has been healthy.

    With very many targets the local clock is no faster for them than the machine can bear, nor slower than real.

    Args:
        check: The check, whose interval is divided by ``speed``.
        speed: How many times faster the local clock is.
        targets: How many targets are checked.
    """
    return max(check.interval, min(targets / CHECKS_A_SECOND, check.interval * speed))


def _initial_interval(progress: _Progress) -> float:
    """Return the seconds to the next check of a target that has never been healthy."""
    is_slow = time.monotonic() - progress.started_at > SLOW_START
    return SLOW_INITIAL_INTERVAL if is_slow else INITIAL_INTERVAL


def _judge(target: Target, progress: _Progress, check: Check, result: CheckResult) -> None:
    """Change a target's state as its checks demand."""
    if result.passed:
        progress.passed, progress.failed = progress.passed + 1, 0
        if not target.was_healthy or target.state == "healthy" or progress.passed >= check.healthy_threshold:
            target.set("healthy")
        return
    progress.passed, progress.failed = 0, progress.failed + 1
    if target.was_healthy:
        failed_for_good = progress.failed >= check.unhealthy_threshold
    else:
        # New targets are checked more often than the interval says. So the time decides, not the count.
        failed_for_good = time.monotonic() - progress.started_at >= check.unhealthy_threshold * check.interval
    if failed_for_good:
        target.set("unhealthy", result.reason, result.detail)
    elif target.state == "initial":
        target.set("initial", "Elb.InitialHealthChecking")


def _result(check: Check, answer: Answer) -> CheckResult:
    if answer.timed_out:
        return CheckResult(False, "Target.Timeout", "Request timed out")
    if answer.status is None:
        return CheckResult(False, "Target.FailedHealthChecks", "Health checks failed")
    if answer.status in check.codes:
        return CheckResult(True)
    return CheckResult(
        False, "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{answer.status}]"
    )
