"""Deploys a project, and again whenever its files change, until the caller has had enough.

    files change -> deploy, without waiting -> look at the replicas -> the new revision answers: send the sample

A deployment counts as done when the new revision answers: that old replicas still finish their requests, and that
CloudFormation has still to notice, is nobody's business here. A revision whose first replica fails is given
up at once: the one before goes on serving, and the next save finds a stack at rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cortex_serving.contract import CONFIG_FILE, SAMPLE_FILE

from cortex_cdk.client import Client
from cortex_cdk.clusters.ensure import ensure_cluster
from cortex_cdk.config import load_config
from cortex_cdk.deploy.apply import Applied
from cortex_cdk.dev.happenings import Answered, Deploying, Failed, Happening, Live, Logged, Step
from cortex_cdk.dev.rollouts import DevRollout
from cortex_cdk.environment import explain
from cortex_cdk.errors import HINT_LINE, CortexError
from cortex_cdk.predict.answers import Prediction
from cortex_cdk.project.watch import ProjectWatch
from cortex_cdk.stack_operations.progress import Silent

LOOK_SECONDS = 0.2
SETTLE_SECONDS = 5.0
"""How long a save waits for the end of an update whose revision serves already, before the update is given up."""
OTHERS_ANSWER_SECONDS = 10.0
"""How long the load balancer may go on to send requests to replicas of the revision before."""
RETRY_SECONDS = 0.05
IN_HISTORY = "saved (cortex dev)"
"""What the history of an API says of a save, so that people can tell them from deployments."""


class _Progress(Silent):
    """Passes on what a deployment says."""

    def __init__(self, tell: Callable[[Happening], None], *, yes: bool) -> None:
        self._tell = tell
        self._yes = yes

    def step(self, subject: str, text: str) -> None:
        """Pass a step on."""
        self._tell(Step(subject, text))

    def log(self, subject: str, line: str) -> None:
        """Pass a line of a build on."""
        self._tell(Step(subject, line))

    def confirm(self, subject: str, question: str) -> bool:
        """Answer for the user, who is elsewhere."""
        self._tell(Step(subject, f"{question} {'yes' if self._yes else 'no'}"))
        return self._yes


@dataclass
class _Attempt:
    """What one save has led to for one API."""

    applied: Applied
    rollout: DevRollout
    saved: float
    is_told: bool = False
    failure: CortexError | None = None


class DevSession:
    """One ``cortex dev``.

    Args:
        environment: The environment's name.
        path: The configuration file, or the folder of a ``cortex.yaml``.
        sample: A file that is sent to each API after each deployment; None takes ``sample.json`` of the project, if
            there is one.
        tell: Hears what happens. Calls come from several threads, one at a time.
        yes: Whether questions of deployments are answered with yes.

    Attributes:
        endpoints: The URLs of what was deployed, by name.

    Raises:
        CloudError: There is no environment of that name.
        ConfigError: There is no such file.
    """

    def __init__(
        self,
        environment: str,
        path: Path,
        sample: Path | None,
        tell: Callable[[Happening], None],
        *,
        yes: bool = False,
    ) -> None:
        self._environment = environment
        self._config = path / CONFIG_FILE if path.is_dir() else path
        if not self._config.is_file():
            # There is nothing to watch. What is wrong with a file may be mended while it is watched.
            load_config(self._config)
        self._given = sample
        self._listener = tell
        self._telling = threading.Lock()
        self._progress = _Progress(self._tell, yes=yes)
        self._client = Client(environment, self._progress)
        self._attempts: dict[str, _Attempt] = {}
        self._serving: dict[str, str] = {}
        self._followers: dict[str, threading.Thread] = {}
        self._began = datetime.now(timezone.utc)
        self.endpoints: dict[str, str] = {}

    def run(self) -> None:
        """Deploy, and again after each change. Ends by an exception only, such as ``KeyboardInterrupt``."""
        watch = ProjectWatch(self._config, [self._given] if self._given else [])
        self._deploy(())
        next_look = time.monotonic()
        while True:
            time.sleep(watch.pause)
            if changed := watch.changes():
                self._deploy(changed)
            elif time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + LOOK_SECONDS

    def _tell(self, happening: Happening) -> None:
        with self._telling:
            self._listener(happening)

    def _deploy(self, changed: tuple[str, ...]) -> None:
        saved = time.monotonic()
        self._tell(Deploying(changed))
        try:
            config = load_config(self._config)
            for warning in config.warnings:
                self._tell(Step("warning", str(warning)))
            self._make_way()
            if not self.endpoints:
                ensure_cluster(self._client.cloud, self._client.environment, self._progress)
            serving = self._serving
            rollouts = {
                api.name: DevRollout(self._client, api.name, serving.get(api.name), self._tell) for api in config.apis
            }
            # The first time, the APIs have to answer before a splitter can be made.
            waits = bool(config.splitters) and not self.endpoints
            results = self._client.deploy(config, wait=waits, check=False, message=IN_HISTORY)
        except Exception as error:
            self._fail(error)
            return
        self._attempts = {
            result.name: _Attempt(result, rollouts[result.name], saved) for result in results if result.name in rollouts
        }
        for result in results:
            self._begin(result)

    def _make_way(self) -> None:
        """End what still runs of the save before. An update whose revision serves has only to be waited for."""
        attempts, self._attempts = self._attempts, {}
        for attempt in attempts.values():
            attempt.rollout.make_way(SETTLE_SECONDS)

    def _begin(self, applied: Applied) -> None:
        """Take over what CloudFormation has begun with."""
        if applied.error:
            self._tell_failure(applied.error)
        else:
            self.endpoints[applied.name] = applied.endpoint
        attempt = self._attempts.get(applied.name)
        if attempt is None:
            return
        attempt.rollout.begin(applied)
        attempt.failure = applied.error
        self._follow(applied.name)
        self._judge(attempt)

    def _look(self) -> None:
        """Look at the replicas of everything that is not over."""
        try:
            for attempt in self._attempts.values():
                if not attempt.rollout.is_over:
                    attempt.rollout.look()
                    self._judge(attempt)
        except Exception as error:
            self._attempts = {}
            self._fail(error)

    def _judge(self, attempt: _Attempt) -> None:
        """Tell what is new: a failure, or that the revision gets requests."""
        rollout = attempt.rollout
        if rollout.failure and (not attempt.failure or rollout.failure.message != attempt.failure.message):
            attempt.failure = rollout.failure
            self._tell_failure(rollout.failure)
            # ECS would try the same code again and again.
            rollout.make_way()
        if rollout.is_live and not attempt.is_told and not attempt.applied.error:
            attempt.is_told = True
            threading.Thread(target=self._try, args=(attempt,), daemon=True).start()

    def _try(self, attempt: _Attempt) -> None:
        """Send the sample until the new revision answers, and tell what it answers."""
        applied, sample = attempt.applied, self._sample()
        answer = self._answer(attempt, sample) if sample else None
        if self._attempts.get(applied.name) is not attempt:
            return
        self._serving[applied.name] = applied.revision
        seconds = time.monotonic() - attempt.saved if applied.changed else None
        self._tell(Live(applied.name, applied.endpoint, applied.revision, seconds))
        if answer:
            self._tell(answer)

    def _answer(self, attempt: _Attempt, sample: Path) -> Answered | None:
        name, deadline = attempt.applied.name, time.monotonic() + OTHERS_ANSWER_SECONDS
        while self._attempts.get(name) is attempt:
            is_last = time.monotonic() > deadline or attempt.rollout.serves_alone()
            try:
                with self._client.stream(name, sample) as answer:
                    prediction, revision = answer.whole(), answer.revision
                if is_last or revision == attempt.applied.revision:
                    return Answered(name, _in_words(prediction))
            except Exception as error:
                # It may be the revision before that fails.
                if is_last:
                    return Answered(name, "", self._known(error))
            time.sleep(RETRY_SECONDS)
        return None

    def _sample(self) -> Path | None:
        found = self._given or self._config.parent / SAMPLE_FILE
        return found if self._given or found.is_file() else None

    def _follow(self, api: str) -> None:
        """Pass on what the replicas of an API log. A follower ends with the API's stack, which may be made anew."""
        follower, is_first = self._followers.get(api), api not in self._followers
        if follower and follower.is_alive():
            return
        # Failures of an earlier session would look like those of the code that is saved now.
        since = self._began if is_first else datetime.now(timezone.utc)

        def pass_on() -> None:
            # What is wrong is told by whoever deploys and looks.
            with suppress(Exception):
                for record in self._client.logs(api, following=True, since=since):
                    self._tell(Logged(api, record))

        self._followers[api] = threading.Thread(target=pass_on, daemon=True)
        self._followers[api].start()

    def _fail(self, error: Exception) -> None:
        known = self._known(error)
        if known is not error:
            # The cloud cannot be reached. It may be somewhere else the next time.
            self._client = Client(self._environment, self._progress)
        self._tell_failure(known)

    def _tell_failure(self, error: CortexError) -> None:
        # Saving deploys.
        error.hint = error.hint and error.hint.replace("deploy again", "save again")
        error.details = tuple(
            line.replace("deploy again", "save again") if line.startswith(HINT_LINE) else line for line in error.details
        )
        self._tell(Failed(error, dict(self._serving)))

    def _known(self, error: Exception) -> CortexError:
        """Return an error in words.

        Raises:
            Exception: It is a mistake of ours.
        """
        known = error if isinstance(error, CortexError) else explain(error, self._environment)
        if known is None:
            raise error
        return known


def _in_words(prediction: Prediction) -> str:
    try:
        return prediction.as_text()
    except ValueError:
        return f"{len(prediction.body)} bytes of {prediction.content_type or 'no type'}"
