"""``networking.auth`` and ``networking.cors``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cortex_cdk.config import load_config
from cortex_cdk.config.sections.networking import Networking
from cortex_cdk.errors import ConfigError

URL, KEYS = "https://login.example.com/", "https://login.example.com/keys.json"
JWT = {"issuer": URL, "jwks": KEYS}


def networking(folder: Path, written: str) -> Networking:
    (folder / "predictor.py").write_text(
        "class PythonPredictor:\n    def __init__(self, config): pass\n    def predict(self, payload): pass\n"
    )
    entry = (
        f"- {{name: a, kind: RealtimeAPI, predictor: {{type: python, path: predictor.py}}, networking: {written}}}\n"
    )
    (folder / "cortex.yaml").write_text(entry)
    return load_config(folder).apis[0].networking


@pytest.mark.parametrize(
    ("written", "kind", "served"),
    [
        ("{}", "none", {}),
        ("{auth: none, cors: null}", "none", {}),
        ("{auth: api_key}", "api_key", {"auth": "api_key"}),
        ("{auth: {api_key: true}}", "api_key", {"auth": "api_key"}),
        ("{cors: off}", "none", {"cors": []}),
        ('{cors: "off"}', "none", {"cors": []}),
        ("{cors: []}", "none", {"cors": []}),
        ('{cors: "*"}', "none", {"cors": ["*"]}),
        (
            "{cors: [https://a.example, 'http://localhost:3000']}",
            "none",
            {"cors": ["https://a.example", "http://localhost:3000"]},
        ),
        (f"{{auth: {{jwt: {json.dumps(JWT)}}}}}", "jwt", {}),
        (f"{{auth: {{jwt: {json.dumps({**JWT, 'claims': {'aud': 'x', 'scope': ['a', 'b']}})}}}}}", "jwt", {}),
    ],
)
def test_spellings(tmp_path: Path, written: str, kind: str, served: dict[str, Any]) -> None:
    found = networking(tmp_path, written)
    assert (found.auth.kind, found.served) == (kind, served)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{auth: apikey}", 'a.networking.auth: must be none, api_key, or a map with jwt, not "apikey"'),
        ("{auth: true}", "a.networking.auth: must be none, api_key, or a map with jwt, not true"),
        ("{auth: {oidc: {}}}", "a.networking.auth.oidc: is not a field here"),
        ("{auth: {jwt: {issuer: https://a.example}}}", "a.networking.auth.jwt.jwks: is required"),
        ("{auth: {jwt: {issuer: http://a.example, jwks: https://a.example}}}", "jwt.issuer: must be an HTTPS URL"),
        ("{auth: {jwt: {issuer: https://a.example, jwks: 'https://u:p@a.example'}}}", "jwt.jwks: must be an HTTPS URL"),
        (f"{{auth: {{jwt: {json.dumps({**JWT, 'claims': {'exp': '1'}})}}}}}", "jwt.claims: must be a map"),
        (f"{{auth: {{jwt: {json.dumps({**JWT, 'claims': {'aud': []}})}}}}}", "jwt.claims: must be a map"),
        (f"{{auth: {{api_key: true, jwt: {json.dumps(JWT)}}}}}", "a.networking.auth.jwt: cannot stand beside api_key"),
        ("{cors: true}", 'a.networking.cors: must be off, "*", or a list of origins'),
        ("{cors: https://a.example}", 'a.networking.cors: must be off, "*", or a list of origins'),
        ("{cors: [https://a.example/path]}", 'a.networking.cors: must be off, "*", or a list of origins'),
        ("{cors: [https://A.example]}", 'a.networking.cors: must be off, "*", or a list of origins'),
        ("{cors: ['https://*.example']}", 'a.networking.cors: must be off, "*", or a list of origins'),
        ("{cors: ['null']}", 'a.networking.cors: must be off, "*", or a list of origins'),
    ],
)
def test_mistakes(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        networking(tmp_path, written)
    assert said in "\n".join([error.value.message, *error.value.details])
