"""Stores and restores the newest versions of Systems Manager parameters.

Parameters that AWS publishes are left out, unless the user has published another machine image there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.ssm.models import Parameter, ssm_backends

from cortex_cdk.localcloud.daemon.records.store import Record
from cortex_cdk.localcloud.services.ssm.public_images import PUBLIC_PARAMETERS, is_public_image, published
from cortex_cdk.localcloud.settings import ACCOUNT_ID, REGION

FOLDER = "parameters"
KIND = "Parameter"
COPIED = ("description", "allowed_pattern", "keyid", "version", "data_type", "labels", "tier", "policies")


def read() -> dict[str, Record]:
    """Return the record of every parameter by its name."""
    backend: Any = ssm_backends[ACCOUNT_ID][REGION]
    own = {
        name: versions[-1]
        for name, versions in backend._parameters.items()
        if versions and not name.startswith(PUBLIC_PARAMETERS)
    }
    return {name: _described(backend, parameter) for name, parameter in {**own, **published(backend)}.items()}


def restore(record: Record) -> None:
    """Put a parameter in place."""
    backend: Any = ssm_backends[ACCOUNT_ID][REGION]
    name = record["name"]
    parameter = Parameter(  # type: ignore[abstract] # abstract in moto only for its own CloudFormation
        account_id=ACCOUNT_ID,
        name=name,
        value=record["value"],
        parameter_type=record["type"],
        last_modified_date=datetime.fromisoformat(record["modified"]),
        **{attribute: record[attribute] for attribute in COPIED},
    )
    if is_public_image(name):
        published(backend)[name] = parameter
    else:
        backend._parameters[name] = [parameter]
    backend._resource_tags[KIND][name].update(record["tags"])


def _described(backend: Any, parameter: Parameter) -> Record:
    return {
        "name": parameter.name,
        "type": parameter.parameter_type,
        "value": parameter.decrypt(parameter.value),
        "modified": parameter.last_modified_date.isoformat(),
        "tags": dict(backend._resource_tags[KIND].get(parameter.name, {})),
        **{attribute: getattr(parameter, attribute) for attribute in COPIED},
    }
