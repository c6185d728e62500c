"""The errors of the serving program itself (a predictor's own exceptions are its own)."""

from __future__ import annotations


class ServingError(Exception):
    """The replica cannot serve; the message says why and what to do, in one line."""


class SpecError(ServingError):
    """The API's specification is missing something or does not make sense."""


class ProjectError(ServingError):
    """The project cannot be fetched or unpacked."""


class PredictorError(ServingError):
    """The predictor's file does not hold a predictor that can be called."""


class UnsupportedResult(TypeError):
    """What ``predict`` returned cannot be sent.

    Args:
        message: What is said of a predictor.
        reason: Why the value has no form in JSON, for whoever writes other values than results.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
