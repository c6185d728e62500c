"""From load balancer rules to Envoy's routes."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cdk.localcloud.services.elbv2 import envoy_config
from cortex_cdk.localcloud.services.elbv2.routing import (
    Endpoint,
    FixedResponse,
    Forward,
    Group,
    Listener,
    Redirect,
    Rule,
    Table,
)

IRIS = Group("targetgroup/iris/1", "least_outstanding_requests", (Endpoint(20001), Endpoint(20002, draining=True)))
TO_IRIS = Forward(((IRIS.name, 1),))


def routes(*rules: Rule) -> list[dict[str, Any]]:
    (host,) = envoy_config.routes(Listener("app/a/1/2", "app/a/1", 8888, rules))["virtual_hosts"]
    return list(host["routes"])


def matches(match: dict[str, Any], path: str) -> bool:
    """What Envoy would do with a path, without its query."""
    if "prefix" in match:
        return path.startswith(str(match["prefix"]))
    if "path" in match:
        return path == str(match["path"])
    return re.fullmatch(match["safe_regex"]["regex"], path) is not None


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("*", {"prefix": "/"}),
        ("/iris", {"path": "/iris"}),
        ("/iris/*", {"prefix": "/iris/"}),
        ("/v?/iris", {"safe_regex": {"regex": "/v./iris"}}),
        ("/a.b*c", {"safe_regex": {"regex": r"/a\.b.*c"}}),
    ],
)
def test_path_patterns(pattern: str, match: dict[str, Any]) -> None:
    (route,) = routes(Rule(TO_IRIS, paths=(pattern,)))

    assert route["match"] == match


@given(st.text("/ab.*?", max_size=8), st.text("/ab.", max_size=8))
def test_path_patterns_mean_what_shell_patterns_mean(pattern: str, path: str) -> None:
    (route,) = routes(Rule(TO_IRIS, paths=("/" + pattern,)))

    assert matches(route["match"], "/" + path) == fnmatch.fnmatchcase("/" + path, "/" + pattern)


def test_rules_keep_their_order_and_values_become_alternatives() -> None:
    found = routes(Rule(TO_IRIS, paths=("/iris", "/iris/*")), Rule(FixedResponse(404, "text/plain", "no")))

    assert [route["match"] for route in found] == [{"path": "/iris"}, {"prefix": "/iris/"}, {"prefix": "/"}]


def test_conditions_are_joined() -> None:
    (route,) = routes(
        Rule(
            TO_IRIS,
            paths=("/iris",),
            hosts=("*.example.com",),
            methods=("POST",),
            headers=(("X-Beta", ("yes", "y?")),),
            queries=(("version", "1*"),),
        )
    )

    patterns = {item["name"]: item["string_match"]["safe_regex"]["regex"] for item in route["match"]["headers"]}
    assert set(patterns) == {":authority", ":method", "X-Beta"}
    assert re.fullmatch(patterns[":authority"].removeprefix("(?i)"), "a.example.com:8888")
    assert re.fullmatch(patterns["X-Beta"], "yo")
    assert route["match"]["query_parameters"][0]["name"] == "version"


def test_weights() -> None:
    (both, one, none) = routes(
        Rule(Forward((("a", 90), ("b", 10)))), Rule(Forward((("a", 0), ("b", 7)))), Rule(Forward((("a", 0),)))
    )

    assert both["route"]["weighted_clusters"]["clusters"] == [{"name": "a", "weight": 90}, {"name": "b", "weight": 10}]
    assert one["route"]["cluster"] == "b"
    assert none["direct_response"]["status"] == 503


def test_redirect_and_fixed_response() -> None:
    redirect, fixed = routes(
        Rule(Redirect(301, "HTTPS", "#{host}", "443", "/#{path}")),
        Rule(FixedResponse(404, "application/json", '{"error": "no such API"}')),
    )

    assert redirect["redirect"] == {
        "response_code": "MOVED_PERMANENTLY",
        "scheme_redirect": "https",
        "port_redirect": 443,
    }
    assert fixed["direct_response"]["status"] == 404
    assert fixed["response_headers_to_add"][0]["header"]["value"] == "application/json"


def test_files_are_written_before_the_files_that_name_them() -> None:
    listener = Listener("app/a/1/2", "app/a/1", 8888, (Rule(TO_IRIS),))

    names = list(envoy_config.files(Table((listener,), (IRIS,)), "/state"))

    assert [name.partition("-")[0] for name in names] == ["cds.json", "rds", "lds.json"]


def test_envoy_watches_no_more_files_for_more_target_groups() -> None:
    listener = Listener("app/a/1/2", "app/a/1", 8888, (Rule(TO_IRIS),))
    many = tuple(replace(IRIS, name=f"targetgroup/iris-{number}/1") for number in range(100))

    one, hundred = (envoy_config.files(Table((listener,), groups), "/state") for groups in ((IRIS,), many))

    assert one.keys() == hundred.keys()
    assert "path_config_source" not in json.dumps(hundred["cds.json"])
