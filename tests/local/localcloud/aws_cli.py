"""The stock AWS CLI, as tests ask a local cloud with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Aws:
    """The ``aws`` executable, pointed at a local cloud."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, *arguments: str) -> Any:
        """Run it; return the answer."""
        done = self._run(*arguments)
        assert done.returncode == 0, f"aws {' '.join(arguments)}\n{done.stderr}"
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        """Run it; return what it says when it fails."""
        done = self._run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).parent / "aws", "--endpoint-url", self._url, "--output", "json", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "AWS_ACCESS_KEY_ID": "any",
                "AWS_SECRET_ACCESS_KEY": "any",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_CONFIG_FILE": os.devnull,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def service(self, name: str) -> Any:
        """The ECS service of an API."""
        (service,) = self("ecs", "describe-services", "--cluster", "cortex-local", "--services", name)["services"]
        return service

    def output(self, stack: str, key: str) -> str:
        """An output of a stack."""
        (described,) = self("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"]
        return next(str(output["OutputValue"]) for output in described["Outputs"] if output["OutputKey"] == key)

    def targets(self, group: str) -> list[dict[str, Any]]:
        """The health of a target group's targets."""
        answer = self("elbv2", "describe-target-health", "--target-group-arn", group)
        return [target["TargetHealth"] for target in answer["TargetHealthDescriptions"]]

    def events(self, stack: str) -> list[dict[str, Any]]:
        """The events of a stack, oldest first."""
        return list(reversed(self("cloudformation", "describe-stack-events", "--stack-name", stack)["StackEvents"]))

    def alarm(self, name: str) -> Any:
        """A CloudWatch alarm."""
        (alarm,) = self("cloudwatch", "describe-alarms", "--alarm-names", name)["MetricAlarms"]
        return alarm
