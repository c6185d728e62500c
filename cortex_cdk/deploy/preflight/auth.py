"""Whether requests are checked wherever they can come in (``networking.auth``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cortex_serving.contract import API_KEY_AUTH, TRAFFIC_SPLITTER

from cortex_cdk import names
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding

_ANYBODY = "none"


@dataclass(frozen=True)
class _Way:
    """A traffic splitter: another way to its members' replicas.

    Attributes:
        name: The splitter's name.
        auth: What it asks for itself (``Auth.identity``).
        members: Names of its APIs.
        subject: Who is to be changed: the splitter, or the API whose deployment would open the way.
    """

    name: str
    auth: str
    members: Sequence[str]
    subject: str


def check_auth(deployment: Deployment) -> Iterator[Finding]:
    """Look whether tokens can be validated, and whether a splitter and its APIs ask for the same.

    Replicas check API keys, whichever way a request comes. The load balancer checks tokens, in each rule by itself: a
    splitter that asks for none would be a way around those of its APIs.
    """
    yield from _without_https(deployment)
    asked = _asked(deployment)
    for way in _ways(deployment):
        members = {name: asked.get(name, _ANYBODY) for name in way.members}
        wanted = set(members.values())
        if len(wanted) > 1:
            listed = ", ".join(f"{name} {_words(auth)}" for name, auth in members.items())
            message = f"the APIs of the traffic splitter {way.name} do not ask for the same: {listed}"
            yield Finding(way.subject, message, "give all of them the same networking.auth")
        elif way.auth not in wanted and not (way.auth == _ANYBODY and wanted == {API_KEY_AUTH}):
            message = f"the traffic splitter {way.name} {_words(way.auth)}, each of its APIs {_words(*wanted)}"
            yield Finding(way.subject, message, f"give {way.name} the networking.auth of its APIs")


def _without_https(deployment: Deployment) -> Iterator[Finding]:
    if deployment.cluster.resources.base_url.startswith("https://"):
        return
    for target in deployment.targets:
        if target.resource.networking.auth.jwt:
            yield Finding(
                target.name,
                f"networking.auth.jwt needs HTTPS, and cluster {deployment.cluster.name} has none: anybody on the way "
                "could read the tokens, and the load balancer validates them on HTTPS only",
                "give the cluster a certificate (load_balancer.certificate_arn in cluster.yaml) and run: "
                "cortex cluster configure",
            )


def _asked(deployment: Deployment) -> Mapping[str, str]:
    """What each API of the cluster asks for, once this is deployed."""
    asked = {}
    for stack in deployment.stacks.values():
        if resource := names.resource_of(deployment.cluster.name, stack.name):
            asked[resource.name] = stack.outputs.get(names.Output.AUTH, _ANYBODY)
    return asked | {target.name: target.resource.networking.auth.identity for target in deployment.apis}


def _ways(deployment: Deployment) -> Iterator[_Way]:
    """The splitters that are wanted, and those that are deployed and forward to an API that is wanted."""
    wanted = deployment.wanted.config.splitters
    for splitter in wanted:
        yield _Way(splitter.name, splitter.networking.auth.identity, [m.name for m in splitter.apis], splitter.name)
    apis = {arn: name for name, arn in deployment.target_groups().items()}
    for stack in deployment.stacks.values():
        resource = names.resource_of(deployment.cluster.name, stack.name)
        if not resource or resource.kind != TRAFFIC_SPLITTER or resource.name in {one.name for one in wanted}:
            continue
        priority = stack.outputs.get(names.Output.LISTENER_RULE_PRIORITY)
        groups = [group for rule in deployment.rules if str(rule.priority) == priority for group in rule.target_groups]
        members = list(dict.fromkeys(apis[group] for group in groups if group in apis))
        changed = [target.name for target in deployment.apis if target.name in members]
        if changed:
            yield _Way(resource.name, stack.outputs.get(names.Output.AUTH, _ANYBODY), members, changed[0])


def _words(auth: str) -> str:
    return {_ANYBODY: "asks for nothing", API_KEY_AUTH: "asks for an API key"}.get(auth, "asks for a token (jwt)")
