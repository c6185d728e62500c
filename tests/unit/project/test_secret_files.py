"""Files that look like secrets, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cortex_cdk.project.archive import collect
from tests.unit.project.conftest import write


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        "lib/id_rsa",
        "id_ed25519",
        "tls/server.pem",
        "a.p12",
        "my-service-account-3.json",
        "credentials",
        "Credentials.json",
        "secrets.yaml",
        "secrets.toml",
        "infra/terraform.tfstate",
        "terraform.tfstate.backup",
        "prod.tfvars",
        "gcp_credentials.json",
    ],
)
def test_files_that_look_like_secrets(root: Path, name: str) -> None:
    write(root, name)
    assert collect(root, root / "cortex.yaml").secrets == (name,)


@pytest.mark.parametrize("name", ["secrets.py", "credentials.md", "keys.json", "pem.txt", "tokenizer.json", "env.yaml"])
def test_files_that_are_no_secrets(root: Path, name: str) -> None:
    write(root, name)
    assert collect(root, root / "cortex.yaml").secrets == ()
