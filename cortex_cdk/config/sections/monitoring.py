"""The ``monitoring`` section: which part of the answers is counted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cortex_cdk.config.model import Section, Text


class Monitoring(Section):
    """Prediction monitoring of an API."""

    model_type: Literal["classification", "regression"] = Field(
        description="`classification` counts answers by class; `regression` keeps their minimum, maximum and mean."
    )
    key: Text | None = Field(None, description="Field of the answer to count, if answers are JSON objects.")
