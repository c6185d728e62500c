"""Reads listeners, rules and target groups out of moto's ELBv2 state, as plain values."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from moto.elbv2.models import FakeListener, FakeLoadBalancer, elbv2_backends

from cortex_cdk.localcloud.services.elbv2 import tls
from cortex_cdk.localcloud.services.elbv2.targets import TargetGroup, groups
from cortex_cdk.localcloud.settings import ACCOUNT_ID, HOST
from cortex_cdk.localcloud.state_lock import STATE_LOCK

IDLE_TIMEOUT = 60.0
CLIENT_KEEP_ALIVE = 3600.0
"""Defaults of the load balancer attributes, seconds (ELBv2 API reference, LoadBalancerAttribute)."""


@dataclass(frozen=True)
class Endpoint:
    """One target of Envoy: its port, and whether it only finishes its requests."""

    port: int
    draining: bool = False


@dataclass(frozen=True)
class Group:
    """A target group.

    Attributes:
        name: ``targetgroup/<name>/<id>``, as in CloudWatch dimensions.
        algorithm: ``load_balancing.algorithm.type``.
        endpoints: The targets.
    """

    name: str
    algorithm: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class Forward:
    """Send to target groups by weight."""

    weights: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class FixedResponse:
    """Answer without a target."""

    status: int
    content_type: str | None
    body: str


@dataclass(frozen=True)
class Redirect:
    """Answer with another address. ``#{...}`` stands for a part of the request's address."""

    status: int
    protocol: str
    host: str
    port: str
    path: str


Action = Forward | FixedResponse | Redirect


@dataclass(frozen=True)
class Rule:
    """A listener rule. All conditions must hold, each by one of its values.

    Attributes:
        action: The action for a request.
        paths: Patterns for the path; empty for any.
        hosts: Patterns for the host; empty for any.
        methods: HTTP methods; empty for any.
        headers: Header names with patterns.
        queries: Alternatives of (key or None, value pattern) of the query string; empty for any.
    """

    action: Action
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    queries: tuple[tuple[str | None, str], ...] = ()


@dataclass(frozen=True)
class Listener:
    """A listener.

    Attributes:
        name: ``app/<load balancer>/<id>/<listener id>``.
        balancer: ``app/<load balancer>/<id>``, as in CloudWatch dimensions.
        port: The port on this machine.
        idle_timeout: Seconds without a byte after which a request ends.
        client_keep_alive: Seconds for which an idle client connection is kept.
        rules: In order of priority, the default action last.
        tls: How the listener ends TLS; None for plain HTTP.
    """

    name: str
    balancer: str
    port: int
    rules: tuple[Rule, ...]
    idle_timeout: float = IDLE_TIMEOUT
    client_keep_alive: float = CLIENT_KEEP_ALIVE
    tls: tls.Tls | None = None


@dataclass(frozen=True)
class Table:
    """All listeners and target groups."""

    listeners: tuple[Listener, ...] = field(default=())
    groups: tuple[Group, ...] = field(default=())


def read(http_port: int, https_port: int) -> Table:
    """Read the listeners and target groups out of moto.

    Args:
        http_port: The port that stands for port 80 of all load balancers, which share one address here. Where rules of
            two clusters match, the older cluster wins. Listeners on other ports get free ports, and keep them.
        https_port: The port that stands for port 443 of all load balancers.
    """
    usual = {("HTTP", "80"): http_port, ("HTTPS", "443"): https_port}
    with STATE_LOCK:
        balancers = [
            balancer
            for backend in list(elbv2_backends[ACCOUNT_ID].values())
            for balancer in backend.load_balancers.values()
        ]
        listeners = [listener for balancer in balancers for listener in _listeners(balancer, usual)]
        by_port: dict[int, list[Listener]] = {}
        for listener in listeners:
            by_port.setdefault(listener.port, []).append(listener)
        return Table(
            listeners=tuple(joined(of_port, listeners) for of_port in by_port.values()),
            groups=tuple(_group(group) for group in groups() if group.target_type != "lambda"),
        )


def suffix(arn: str) -> str:
    """Return the part of an ELBv2 ARN that CloudWatch uses as a dimension."""
    resource = arn.rpartition(":")[2]
    return resource.partition("/")[2] if resource.startswith(("loadbalancer/", "listener/")) else resource


def joined(listeners: Sequence[Listener], everything: Iterable[Listener]) -> Listener:
    """Join the listeners of several load balancers that share a port here: all rules and certificates.

    A listener that sends every request to another port must not do that with the requests of other load balancers. So
    it redirects what the listener on that port has rules for. The default action is the first one that is no redirect.

    Args:
        listeners: The listeners of one port, those of the oldest load balancer first.
        everything: The listeners of all ports.
    """
    first = listeners[0]
    if len(listeners) == 1:
        return first
    rules = [rule for one in listeners for rule in (*one.rules[:-1], *_redirected(one, everything))]
    defaults = [one.rules[-1] for one in listeners]
    default = next((rule for rule in defaults if not isinstance(rule.action, Redirect)), defaults[0])
    certificates = [known for one in listeners if one.tls for known in one.tls.certificates]
    return replace(
        first,
        rules=(*rules, default),
        tls=replace(first.tls, certificates=tuple(dict.fromkeys(certificates))) if first.tls else None,
    )


def _redirected(listener: Listener, everything: Iterable[Listener]) -> list[Rule]:
    """Return the rules that a default action stands for that redirects to another listener of its load balancer."""
    action = listener.rules[-1].action
    if not isinstance(action, Redirect):
        return []
    others = [other for other in everything if (other.balancer, str(other.port)) == (listener.balancer, action.port)]
    return [replace(rule, action=action) for other in others for rule in other.rules[:-1]]


def _port(listener: Any, usual: Mapping[tuple[str, str], int]) -> int:
    """Return the port of a listener on this machine."""
    kind = (listener.protocol, str(listener.port))
    if kind in usual:
        return usual[kind]
    if not hasattr(listener, "local_port"):
        listener.local_port = _free_port()
    return int(listener.local_port)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _listeners(balancer: FakeLoadBalancer, usual: Mapping[tuple[str, str], int]) -> Iterator[Listener]:
    """Yield the listeners of a load balancer. A listener for TLS whose certificate is gone cannot answer."""
    ports = {str(listener.port): _port(listener, usual) for listener in balancer.listeners.values()}
    for listener in balancer.listeners.values():
        if listener.protocol != "HTTPS":
            yield _listener(balancer, listener, ports)
        elif found := tls.read(listener.ssl_policy, listener.certificates):
            yield replace(_listener(balancer, listener, ports), tls=found)


def _listener(balancer: FakeLoadBalancer, listener: FakeListener, ports: Mapping[str, int]) -> Listener:
    rules = sorted(
        (rule for rule in listener.rules.values() if rule.priority != "default"), key=lambda rule: int(rule.priority)
    )
    return Listener(
        name=suffix(listener.arn),
        balancer=suffix(balancer.arn),
        port=ports[str(listener.port)],
        rules=(
            *(_rule(rule.conditions, rule.actions, ports) for rule in rules),
            _rule([], listener.default_actions, ports),
        ),
        idle_timeout=float(balancer.attrs.get("idle_timeout.timeout_seconds", IDLE_TIMEOUT)),
        client_keep_alive=float(balancer.attrs.get("client_keep_alive.seconds", CLIENT_KEEP_ALIVE)),
    )


def _group(group: TargetGroup) -> Group:
    """Return a target group with its healthy targets. If none is healthy, an ALB fails open: all targets are used.

    A target that has never passed a check is left out even then: nothing may listen on its port yet.
    """
    targets = list(group.registered.values())
    usable = [target for target in targets if target.state == "healthy"]
    usable = usable or [target for target in targets if target.state == "unhealthy" and target.was_healthy]
    draining = [target for target in targets if target.state == "draining"]
    return Group(
        name=suffix(group.arn),
        algorithm=str(group.attributes["load_balancing.algorithm.type"]),
        endpoints=(
            *(Endpoint(target.port) for target in usable),
            *(Endpoint(target.port, draining=True) for target in draining),
        ),
    )


def _rule(conditions: Iterable[Mapping[str, Any]], actions: Iterable[Any], ports: Mapping[str, int]) -> Rule:
    values: dict[str, tuple[str, ...]] = {}
    headers: list[tuple[str, tuple[str, ...]]] = []
    queries: list[tuple[str | None, str]] = []
    for condition in conditions:
        kind = condition["Field"]
        if kind == "http-header":
            config = condition["HttpHeaderConfig"]
            headers.append((config["HttpHeaderName"], tuple(config["Values"])))
        elif kind == "query-string":
            config = condition["QueryStringConfig"]
            queries += [(item.get("Key"), item["Value"]) for item in config["Values"]]
        elif kind in _CONFIGURATIONS:
            config = condition.get(_CONFIGURATIONS[kind]) or condition
            values[kind] = tuple(config["Values"])
    return Rule(
        # The last action decides where a request goes. Actions before it authenticate.
        action=_action(list(actions)[-1], ports),
        paths=values.get("path-pattern", ()),
        hosts=values.get("host-header", ()),
        methods=values.get("http-request-method", ()),
        headers=tuple(headers),
        queries=tuple(queries),
    )


_CONFIGURATIONS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
}


def _action(action: Any, ports: Mapping[str, int]) -> Action:
    """Return the action of a rule. A redirect to a port of the load balancer leads to that port on this machine."""
    data: Mapping[str, Any] = getattr(action, "data", action)
    if data["Type"] == "fixed-response":
        config = data["FixedResponseConfig"]
        return FixedResponse(int(config["StatusCode"]), config.get("ContentType"), config.get("MessageBody") or "")
    if data["Type"] == "redirect":
        config = data["RedirectConfig"]
        return Redirect(
            status=301 if config["StatusCode"] == "HTTP_301" else 302,
            protocol=config.get("Protocol") or "#{protocol}",
            host=config.get("Host") or "#{host}",
            port=str(ports.get(str(config.get("Port")), config.get("Port")) or "#{port}"),
            path=config.get("Path") or "/#{path}",
        )
    listed = (data.get("ForwardConfig") or {}).get("TargetGroups") or []
    if not listed:
        return Forward(weights=((suffix(data["TargetGroupArn"]), 1),))
    return Forward(weights=tuple((suffix(item["TargetGroupArn"]), int(item.get("Weight", 1))) for item in listed))
