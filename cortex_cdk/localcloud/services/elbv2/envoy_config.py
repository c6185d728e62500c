"""Turns routing values into Envoy's resources. Pure functions.

Names and defaults of fields: the v3 API reference of Envoy 1.40. Behaviour: "Listener rules" and "Edit load
balancer attributes" of the Application Load Balancer guide.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from cortex_cdk.localcloud.services.elbv2.own_hosts import REFUSAL, own_hosts
from cortex_cdk.localcloud.services.elbv2.routing import (
    Action,
    FixedResponse,
    Forward,
    Group,
    Listener,
    Redirect,
    Rule,
    Table,
)
from cortex_cdk.localcloud.services.elbv2.tls import Tls
from cortex_cdk.localcloud.settings import HOST

Resource = dict[str, Any]
TYPE = "type.googleapis.com/"
EXTENSIONS = "envoy.extensions"
CONNECT_TIMEOUT = "10s"
"""How long an ALB waits for a connection to a target."""
HTTP_OPTIONS = f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"
ENDPOINTS = "endpoints"
"""The cluster of ``EndpointServer``. Those of target groups have names with slashes."""
FETCH_TIMEOUT = "2s"
STREAM: Resource = {"resource_api_version": "V3", "initial_fetch_timeout": FETCH_TIMEOUT, "ads": {}}
"""The source of the endpoints of target groups."""
TARGET_KEEP_ALIVE = "60s"
UNLIMITED = 1_000_000
"""The limits of Envoy's circuit breakers, so high that they refuse nothing: an ALB has none."""
CLIENT_ADDRESS = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
RETRY_BODY_BYTES = 16 * 1024 * 1024
"""Bytes of a request's body that are kept, to send them again if the connection to the target fails."""
POLICIES = {
    "least_outstanding_requests": ("least_request", "LeastRequest", {"selection_method": "FULL_SCAN"}),
    "weighted_random": ("random", "Random", {}),
    "round_robin": ("round_robin", "RoundRobin", {}),
}
TRACE_ID = """
local seeded = false
function envoy_on_request(handle)
  local headers = handle:headers()
  local given = headers:get("x-amzn-trace-id")
  if given ~= nil and given:find("Root=", 1, true) then return end
  if not seeded then
    math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 2147483647)
    seeded = true
  end
  local root = string.format("Root=1-%08x-%06x%06x%06x%06x", os.time(), math.random(0, 16777215),
    math.random(0, 16777215), math.random(0, 16777215), math.random(0, 16777215))
  headers:replace("x-amzn-trace-id", root)
end
"""
"""Adds a trace id to a request without one, as an ALB does."""


def bootstrap(folder: str, admin_socket: str, endpoints_socket: str) -> Resource:
    """Return the configuration that Envoy reads once, at its start.

    Args:
        folder: The folder of the files of the other resources.
        admin_socket: Path of the socket that answers about statistics.
        endpoints_socket: Path of the socket of ``EndpointServer``.
    """
    service = {"envoy_grpc": {"cluster_name": ENDPOINTS}}
    return {
        "node": {"id": "cortex-local", "cluster": "cortex-local"},
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}},
        # A flush merges the histograms. Nothing is sent anywhere.
        "stats_flush_interval": "1s",
        "static_resources": {"clusters": [_endpoint_server(endpoints_socket)]},
        "dynamic_resources": {
            "lds_config": source(folder, "lds.json"),
            "cds_config": source(folder, "cds.json"),
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [service]},
        },
    }


def _endpoint_server(path: str) -> Resource:
    address = {"pipe": {"path": path}}
    return {
        "name": ENDPOINTS,
        "type": "STATIC",
        "connect_timeout": CONNECT_TIMEOUT,
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {"@type": TYPE + HTTP_OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}}
        },
        "load_assignment": {
            "cluster_name": ENDPOINTS,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def source(folder: str, name: str) -> Resource:
    """Return a file of resources that is read again when another file is moved over it."""
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": FETCH_TIMEOUT,
        "path_config_source": {"path": f"{folder}/{name}", "watched_directory": {"path": folder}},
    }


def files(table: Table, folder: str) -> dict[str, list[Resource]]:
    """Return the content of all files of resources, by name, in the order of writing.

    Clusters come before the routes that name them. Their endpoints are in no file (``EndpointServer``).

    Args:
        table: The listeners and target groups.
        folder: The folder of the files.
    """
    content = {"cds.json": [cluster(group) for group in table.groups]}
    hosts = own_hosts(table.listeners)
    content |= {routes_file(listener): [routes(listener, hosts)] for listener in table.listeners}
    content["lds.json"] = [listener_resource(listener, folder) for listener in table.listeners]
    return content


def routes_file(listener: Listener) -> str:
    """Return the name of the file with a listener's routes."""
    return f"rds-{_digest(listener.name)}.json"


def cluster(group: Group) -> Resource:
    """Return the cluster of a target group."""
    name, message, fields = POLICIES.get(group.algorithm, POLICIES["round_robin"])
    policy = f"{EXTENSIONS}.load_balancing_policies.{name}.v3.{message}"
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "@type": f"{TYPE}envoy.config.cluster.v3.Cluster",
        "name": group.name,
        "type": "EDS",
        "connect_timeout": CONNECT_TIMEOUT,
        "eds_cluster_config": {"eds_config": STREAM},
        "typed_extension_protocol_options": {HTTP_OPTIONS: _upstream()},
        # Without healthy targets the answer is 503, not a random target: ``routing`` decides about failing open.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, UNLIMITED)]},
        "load_balancing_policy": {
            "policies": [
                {"typed_extension_config": {"name": policy, "typed_config": {"@type": TYPE + policy, **fields}}}
            ]
        },
    }


def _upstream() -> Resource:
    """Return the options of connections to targets. One that outlived the target's side would fail a request."""
    return {
        "@type": TYPE + HTTP_OPTIONS,
        "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": TARGET_KEEP_ALIVE},
    }


def listener_resource(listener: Listener, folder: str) -> Resource:
    """Return a listener with its HTTP settings. Its routes are in a file of their own."""
    manager = f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    chain: Resource = {
        "filters": [{"name": manager, "typed_config": {"@type": TYPE + manager, **_http(listener, folder)}}]
    }
    if listener.tls:
        chain["transport_socket"] = _tls(listener.tls)
    return {
        "@type": f"{TYPE}envoy.config.listener.v3.Listener",
        "name": listener.name,
        "address": _address(listener.port),
        "filter_chains": [chain],
    }


def _tls(tls: Tls) -> Resource:
    """Return how a listener ends TLS. As on an ALB, HTTP/2 is offered, too."""
    context = f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext"
    versions = {"tls_minimum_protocol_version": tls.minimum, "tls_maximum_protocol_version": tls.maximum}
    certificates = [
        {"certificate_chain": {"inline_string": known.chain}, "private_key": {"inline_string": known.key}}
        for known in tls.certificates
    ]
    common = {"alpn_protocols": ["h2", "http/1.1"], "tls_params": versions, "tls_certificates": certificates}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": TYPE + context, "common_tls_context": common},
    }


def _http(listener: Listener, folder: str) -> Resource:
    return {
        "stat_prefix": listener.balancer,
        "rds": {"route_config_name": listener.name, "config_source": source(folder, routes_file(listener))},
        "use_remote_address": True,
        # Envoy would append an address of this machine, not the loopback address.
        "skip_xff_append": True,
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": False,
        "stream_idle_timeout": _seconds(listener.idle_timeout),
        "common_http_protocol_options": {"idle_timeout": _seconds(listener.client_keep_alive)},
        "http_protocol_options": {"accept_http_10": True},
        "max_request_headers_kb": 64,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": {"mappers": [_bad_gateway()]},
        "http_filters": [_lua(), _router()],
    }


def _bad_gateway() -> Resource:
    """Return the rule for 502: an ALB's answer if a target refuses or closes the connection. Envoy would say 503."""
    return {
        "filter": {"response_flag_filter": {"flags": ["UF", "UC", "UR", "UPE", "URX"]}},
        "status_code": 502,
    }


def _lua() -> Resource:
    name = f"{EXTENSIONS}.filters.http.lua.v3.Lua"
    return {"name": name, "typed_config": {"@type": TYPE + name, "default_source_code": {"inline_string": TRACE_ID}}}


def _router() -> Resource:
    name = f"{EXTENSIONS}.filters.http.router.v3.Router"
    return {"name": name, "typed_config": {"@type": TYPE + name, "suppress_envoy_headers": True}}


def routes(listener: Listener, hosts: tuple[str, ...] = ()) -> Resource:
    """Return the rules of a listener, in order.

    Args:
        listener: The listener.
        hosts: Patterns of the names that the load balancer answers to; none for all.
    """
    return {
        "@type": f"{TYPE}envoy.config.route.v3.RouteConfiguration",
        "name": listener.name,
        "request_headers_to_add": [
            _request_header("X-Forwarded-Port", str(listener.port), "OVERWRITE_IF_EXISTS_OR_ADD"),
            _request_header("X-Forwarded-For", CLIENT_ADDRESS, "APPEND_IF_EXISTS_OR_ADD"),
        ],
        "request_headers_to_remove": ["x-envoy-external-address", "x-envoy-internal"],
        "virtual_hosts": [
            {
                "name": listener.name,
                "domains": ["*"],
                "retry_policy": _retries(),
                "request_body_buffer_limit": RETRY_BODY_BYTES,
                "routes": [
                    *([_misdirected(hosts)] if hosts else []),
                    *(route for rule in listener.rules for route in _routes_of(rule)),
                ],
            }
        ],
    }


def _request_header(name: str, value: str, action: str) -> Resource:
    return {"header": {"key": name, "value": value}, "append_action": action}


def _retries() -> Resource:
    """Return the policy of retries: as an ALB, try another target if the request cannot have reached the first.

    A request that a target may have seen is never sent again, whatever its method.
    """
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{TYPE}{EXTENSIONS}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def _routes_of(rule: Rule) -> Iterator[Resource]:
    """Yield a rule's routes: one for each way in which its conditions can hold."""
    headers = [_header(name, values) for name, values in rule.headers]
    if rule.hosts:
        headers.append(_host(rule.hosts))
    if rule.methods:
        headers.append(_header(":method", rule.methods))
    for path in rule.paths or ("*",):
        for query in rule.queries or (None,):
            match = {**_path(path), **({"headers": headers} if headers else {})}
            if query is not None:
                match["query_parameters"] = [_query(*query)]
            yield {"match": match, **_outcome(rule.action)}


def _misdirected(hosts: tuple[str, ...]) -> Resource:
    """Return the route of requests to other hosts (421, RFC 9110, 15.5.20)."""
    answer = FixedResponse(421, "application/json", json.dumps({"message": REFUSAL}))
    return {"match": {"prefix": "/", "headers": [{**_host(hosts), "invert_match": True}]}, **_fixed(answer)}


def _host(patterns: tuple[str, ...]) -> Resource:
    return _header(":authority", patterns, suffix=r"(?::\d+)?", ignore_case=True)


def _path(pattern: str) -> Resource:
    """Return a path pattern: ``*`` is any text, ``?`` is any one character, and case matters."""
    if pattern == "*":
        return {"prefix": "/"}
    if not re.search(r"[*?]", pattern):
        return {"path": pattern}
    if re.fullmatch(r"/[^*?]*\*", pattern):
        return {"prefix": pattern[:-1]}
    return {"safe_regex": {"regex": _regex(pattern)}}


def _header(name: str, patterns: tuple[str, ...], suffix: str = "", ignore_case: bool = False) -> Resource:
    alternatives = "|".join(_regex(pattern) for pattern in patterns)
    flags = "(?i)" if ignore_case else ""
    return {"name": name, "string_match": {"safe_regex": {"regex": f"{flags}(?:{alternatives}){suffix}"}}}


def _query(key: str | None, value: str) -> Resource:
    """Return a query condition. Envoy cannot look at values alone: a condition without a key takes the value as key."""
    if key is None:
        return {"name": value, "present_match": True}
    return {"name": key, "string_match": {"safe_regex": {"regex": _regex(value)}}}


def _regex(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)


def _outcome(action: Action) -> Resource:
    if isinstance(action, FixedResponse):
        return _fixed(action)
    if isinstance(action, Redirect):
        return {"redirect": _redirect(action)}
    return _forward(action)


def _forward(action: Forward) -> Resource:
    # The idle timeout of the listener bounds a request. An ALB has no limit for a whole request.
    common = {"timeout": "0s"}
    weights = [(name, weight) for name, weight in action.weights if weight > 0]
    if not weights:
        return _fixed(FixedResponse(503, "text/plain", "All target groups have the weight 0."))
    if len(weights) == 1:
        return {"route": {"cluster": weights[0][0], **common}}
    clusters = [{"name": name, "weight": weight} for name, weight in weights]
    return {"route": {"weighted_clusters": {"clusters": clusters}, **common}}


def _fixed(action: FixedResponse) -> Resource:
    response: Resource = {"direct_response": {"status": action.status}}
    if action.body:
        response["direct_response"]["body"] = {"inline_string": action.body}
    if action.content_type:
        header = {"key": "Content-Type", "value": action.content_type}
        response["response_headers_to_add"] = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return response


def _redirect(action: Redirect) -> Resource:
    """Return a redirect. A path with a part of the request's path stays the request's."""
    result: Resource = {"response_code": "MOVED_PERMANENTLY" if action.status == 301 else "FOUND"}
    if "#{" not in action.protocol:
        result["scheme_redirect"] = action.protocol.lower()
    if "#{" not in action.host:
        result["host_redirect"] = action.host
    if "#{" not in action.port:
        result["port_redirect"] = int(action.port)
    if "#{" not in action.path:
        result["path_redirect"] = action.path
    return result


def _address(port: int) -> Resource:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _seconds(value: float) -> str:
    return f"{value:g}s"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
