"""Reads a configuration file as a ``Document``, by the code of the serving program (``cortex_serving.formats``)."""

from __future__ import annotations

from pathlib import Path

from cortex_serving.formats import yaml_document
from cortex_serving.formats.problem import FormatError
from cortex_serving.formats.yaml_document import Document, FieldPath, Place, written_path

from cortex_cdk.errors import ConfigError

__all__ = ["Document", "FieldPath", "Place", "read_document", "written_path"]


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Args:
        file: The file.

    Returns:
        The document; ``problems`` says what is wrong inside.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, is empty, or is not YAML, with the place of the first fault.
    """
    try:
        return yaml_document.read_document(file)
    except FormatError as error:
        raise ConfigError(error.problems) from None
