"""Two clusters share the ports of one machine: none answers, or redirects, for the other."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from cortex_cdk.localcloud.services.elbv2.routing import (
    Action,
    FixedResponse,
    Forward,
    Listener,
    Redirect,
    Rule,
    joined,
)

HTTP, HTTPS = 8888, 8443
TO_TLS = Redirect(301, "HTTPS", "#{host}", str(HTTPS), "/#{path}")
UNKNOWN = FixedResponse(404, "application/json", "{}")


def forward(name: str) -> Rule:
    return Rule(Forward(((f"targetgroup/{name}/1", 1),)), paths=(f"/{name}", f"/{name}/*"))


def listener(balancer: str, port: int, default: Action, *rules: Rule) -> Listener:
    return Listener(f"app/{balancer}/1/{port}", f"app/{balancer}/1", port, (*rules, Rule(default)))


PLAIN = [listener("plain", HTTP, UNKNOWN, forward("iris"))]
SECURE = [listener("secure", HTTP, TO_TLS), listener("secure", HTTPS, UNKNOWN, forward("safe"))]
OTHER = [listener("other", HTTP, TO_TLS), listener("other", HTTPS, UNKNOWN, forward("text"))]


def on_http(*clusters: list[Listener]) -> Listener:
    everything = [one for cluster in clusters for one in cluster]
    return joined([one for one in everything if one.port == HTTP], everything)


def actions(found: Listener) -> dict[str, Action]:
    return {rule.paths[0] if rule.paths else "*": rule.action for rule in found.rules}


def test_a_cluster_alone_redirects_everything() -> None:
    assert on_http(SECURE) == SECURE[0]


@pytest.mark.parametrize("clusters", list(itertools.permutations([PLAIN, SECURE, OTHER])))
def test_each_cluster_redirects_its_own_requests(clusters: tuple[list[Listener], ...]) -> None:
    assert actions(on_http(*clusters)) == {
        "/iris": forward("iris").action,
        "/safe": TO_TLS,
        "/text": TO_TLS,
        "*": UNKNOWN,
    }


def test_without_a_plain_cluster_everything_is_redirected() -> None:
    assert actions(on_http(SECURE, OTHER)) == {"/safe": TO_TLS, "/text": TO_TLS, "*": TO_TLS}


def test_conditions_stay_with_the_redirect() -> None:
    only_posts = replace(forward("safe"), methods=("POST",))
    found = on_http(PLAIN, [SECURE[0], listener("secure", HTTPS, UNKNOWN, only_posts)])
    assert replace(only_posts, action=TO_TLS) in found.rules
