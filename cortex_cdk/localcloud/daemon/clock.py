"""Does the work of each minute of the local clock: reads metrics, evaluates alarms, scales services."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cortex_cdk.localcloud.services.application_autoscaling import models
from cortex_cdk.localcloud.services.application_autoscaling.autoscaler import Autoscaler
from cortex_cdk.localcloud.services.cloudwatch import alarms
from cortex_cdk.localcloud.services.cloudwatch import backend as cloudwatch
from cortex_cdk.localcloud.services.ecs.utilization import Utilization
from cortex_cdk.localcloud.services.elbv2 import metrics as load_balancer
from cortex_cdk.localcloud.services.elbv2.envoy import Envoy

logger = logging.getLogger(__name__)

MINUTE = 60.0
MINUTES_BETWEEN_COMPACTIONS = 10
LOOKED_BACK = 60
"""Minutes that alarms and policies look back, with room to spare."""


class MinuteClock:
    """A thread that works at the start of every minute.

    Args:
        speed: How many times shorter than a real minute a minute is.
        envoy: Counts requests.
        utilization: Measures processors and memory.
        autoscaler: Scales services.
        on_minute: Is called when the work of a minute is done.
    """

    def __init__(
        self,
        speed: float,
        envoy: Envoy,
        utilization: Utilization,
        autoscaler: Autoscaler,
        on_minute: Callable[[], None],
    ) -> None:
        self._speed = speed
        self._envoy = envoy
        self._utilization = utilization
        self._autoscaler = autoscaler
        self._on_minute = on_minute
        self._last = load_balancer.Reading()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="minute-clock", daemon=True)

    def open(self) -> None:
        """Start the clock."""
        self._thread.start()

    def close(self) -> None:
        """Stop the clock."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        period = MINUTE / self._speed
        minutes, latest = 0, time.time()
        while not self._closing.wait(period - time.time() % period):
            minutes += 1
            before, latest = latest, time.time()
            try:
                if latest < before:
                    # Somebody has set the machine's clock back. What was measured then is not measured of now.
                    cloudwatch.forget_after(latest - LOOKED_BACK * period)
                self._minute(latest // period * period - period / 2)
                if minutes % MINUTES_BETWEEN_COMPACTIONS == 0:
                    cloudwatch.compact()
            except Exception:
                # A metric or an alarm that makes no sense must not stop the clock.
                logger.exception("A minute of metrics and scaling could not be finished.")

    def _minute(self, middle: float) -> None:
        try:
            reading = load_balancer.parse(self._envoy.ask_json(load_balancer.PAGE))
        except OSError:
            reading = load_balancer.Reading()
        load_balancer.record(reading.since(self._last), load_balancer.group_states(), middle)
        self._last = reading
        self._utilization.record(middle)
        alarms.evaluate(self._speed, models.is_own)
        self._autoscaler.evaluate()
        self._on_minute()
