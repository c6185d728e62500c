"""Tells which files look like secrets, by their names: every replica gets them, and whoever may read the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

PATTERNS = (
    *(".env", ".env.*", "*.env", ".netrc", ".npmrc", ".pypirc", ".htpasswd", ".git-credentials"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore"),
    *("*.kdbx", "*.ppk", "*service-account*.json", "*service_account*.json", "*client_secret*.json", "kubeconfig"),
    *("credentials", "credentials.*", "*_credentials.json", "*-credentials.json", "secret.*", "secrets.*"),
    *("terraform.tfstate", "*.tfstate", "*.tfstate.backup", "*.tfvars"),
)
"""Names that tools give to files with passwords, tokens and private keys. Case does not matter."""
CODE = (".py", ".pyi", ".md", ".rst")
"""Files that have such a name because they handle secrets, or tell of them."""


def secret_files(names: Iterable[str]) -> list[str]:
    """Pick the files that look like secrets.

    Args:
        names: Paths in the project.

    Returns:
        Those of them, in their order.
    """
    return [name for name in names if _is_secret(PurePosixPath(name).name.lower())]


def _is_secret(name: str) -> bool:
    return not name.endswith(CODE) and any(fnmatchcase(name, pattern) for pattern in PATTERNS)
