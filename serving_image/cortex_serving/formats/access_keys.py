"""API keys (``networking.auth: api_key``): what a key looks like, and the document in which a cluster keeps its keys.

A key is ``cortex_<id>_<secret>``. The document has the id and the SHA-256 of the secret, never the secret. A slow hash
(bcrypt, Argon2) protects passwords, which people choose and others can guess; a secret of 256 random bits cannot be
guessed, however fast one hash is (NIST SP 800-63B, 3.1.2.2: a look-up secret with 112 bits or more needs no salt and no
slow hash). Speed matters here: each request is checked.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_PREFIX = "cortex"
_ID_BYTES = 6
_ALPHABET = string.ascii_letters + string.digits
_SECRET_CHARACTERS = 43  # of 62 each: 256 bits
_KEY = re.compile(rf"{_PREFIX}_([0-9a-f]{{{2 * _ID_BYTES}}})_([A-Za-z0-9]{{{_SECRET_CHARACTERS}}})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of keys. They stand in logs and metrics as they are."""
FORM = f"{_PREFIX}_<id>_<secret>"


@dataclass(frozen=True)
class AccessKey:
    """What is kept of a key. Moments are seconds since the epoch.

    Attributes:
        id: 12 hexadecimal digits, the part of the key that is no secret.
        name: What people, logs and metrics call the key.
        sha256: Hexadecimal digits of the secret's hash.
        apis: Names of the APIs that the key is for; empty for all.
        created: When it was made.
        expires: From when on it is refused; None for never.
        revoked: When it was revoked; None if it was not.
    """

    id: str
    name: str
    sha256: str
    apis: tuple[str, ...] = ()
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None

    def refused_because(self, now: float) -> str | None:
        """Why the key is good for nothing at a moment, completing "the key NAME ..."; None while it is good."""
        if self.revoked is not None:
            return "was revoked"
        if self.expires is not None and self.expires <= now:
            return "has expired"
        return None


def generate() -> tuple[str, str, str]:
    """Make a new key, from the system's source of random bits.

    Returns:
        The key, its id, and the hash of its secret.
    """
    id = secrets.token_hex(_ID_BYTES)
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARACTERS))
    return f"{_PREFIX}_{id}_{secret}", id, digest(secret)


def split(key: str) -> tuple[str, str] | None:
    """Return id and secret of a text that has the form of a key; None for any other text."""
    match = _KEY.fullmatch(key)
    return (match[1], match[2]) if match else None


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def write(keys: Iterable[AccessKey]) -> bytes:
    """Write the document that keeps keys: JSON, one key in ``keys`` each."""
    return json.dumps({"keys": [asdict(key) for key in keys]}, indent=1).encode()


def read(document: bytes) -> tuple[AccessKey, ...]:
    """Read the document. Fields of a later version are passed over.

    Raises:
        ValueError: It is not such a document.
    """
    try:
        return tuple(map(_key, json.loads(document)["keys"]))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a document of API keys: {error}") from error


def _key(data: Mapping[str, Any]) -> AccessKey:
    if not NAME.fullmatch(data["name"]):
        raise ValueError(f"{data['name']!r} cannot be the name of a key")
    return AccessKey(
        id=str(data["id"]),
        name=str(data["name"]),
        sha256=str(data["sha256"]),
        apis=tuple(map(str, data.get("apis") or ())),
        created=float(data.get("created") or 0),
        expires=None if data.get("expires") is None else float(data["expires"]),
        revoked=None if data.get("revoked") is None else float(data["revoked"]),
    )
