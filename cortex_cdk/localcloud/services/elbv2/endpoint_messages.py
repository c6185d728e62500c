"""The messages in which ``EndpointServer`` tells Envoy about endpoints, in the encoding of Protocol Buffers.

They have a dozen fields: generated code for Envoy's API would be thousands of times as much. Sources: the v3 API of
Envoy (discovery.proto, endpoint.proto, endpoint_components.proto, address.proto); "Encoding" of the Protocol Buffers
guide; "gRPC over HTTP2" for the envelope.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from cortex_cdk.localcloud.services.elbv2.routing import Endpoint, Group
from cortex_cdk.localcloud.settings import HOST

TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
HEALTHY, DRAINING = 1, 3
"""Of ``HealthStatus``."""
_ENVELOPE = struct.Struct("!BI")
_SUBSCRIBE, _UNSUBSCRIBE = 3, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED64: 8, _FIXED32: 4}


def assignment(group: Group) -> bytes:
    """Return the endpoints of a target group (``ClusterLoadAssignment``).

    Draining targets stay, so that their active requests can be counted.
    """
    return _part(1, group.name.encode()) + _part(2, b"".join(_part(2, _endpoint(one)) for one in group.endpoints))


def _endpoint(endpoint: Endpoint) -> bytes:
    socket_address = _part(2, HOST.encode()) + _number(3, endpoint.port)
    address = _part(1, _part(1, socket_address))
    return _part(1, address) + _number(2, DRAINING if endpoint.draining else HEALTHY)


def update(assignments: Mapping[str, bytes], number: int) -> bytes:
    """Return the news of some target groups (``DeltaDiscoveryResponse``).

    Args:
        assignments: Their endpoints by name, as ``assignment`` gives them.
        number: Which message of the stream this is.
    """
    version = str(number).encode()
    resources = [
        _part(1, version) + _part(2, _part(1, TYPE.encode()) + _part(2, content)) + _part(3, name.encode())
        for name, content in assignments.items()
    ]
    return b"".join(_part(2, resource) for resource in resources) + _part(4, TYPE.encode()) + _part(5, version)


def subscriptions(request: bytes) -> tuple[list[str], list[str]]:
    """Return which target groups Envoy wants to hear of now, and which ones no longer (``DeltaDiscoveryRequest``)."""
    wanted: list[str] = []
    unwanted: list[str] = []
    for field, value in _fields(request):
        if field in (_SUBSCRIBE, _UNSUBSCRIBE):
            (wanted if field == _SUBSCRIBE else unwanted).append(value.decode())
    return wanted, unwanted


def enveloped(message: bytes) -> bytes:
    """Return a message as gRPC sends it."""
    return _ENVELOPE.pack(0, len(message)) + message


def taken_out(received: bytearray) -> Iterator[bytes]:
    """Take the complete messages out of what gRPC has received."""
    while len(received) >= _ENVELOPE.size:
        end = _ENVELOPE.size + _ENVELOPE.unpack_from(received)[1]
        if len(received) < end:
            return
        message = bytes(received[_ENVELOPE.size : end])
        del received[:end]
        yield message


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields that hold texts or messages, with their numbers."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _read_varint(message, position)
            continue
        length, position = (_FIXED_LENGTHS[kind], position) if kind != _BYTES else _read_varint(message, position)
        if kind == _BYTES:
            yield tag >> 3, message[position : position + length]
        position += length


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while message[position] & 0x80:
        value |= (message[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | message[position] << shift, position + 1
