"""Checks that what an API's template and replicas get is no larger than AWS takes, before anything is created.

An API's template is sent to CloudFormation as text of at most 51,200 bytes (quotas of CloudFormation). The serving
specification and the environment stand in it, as JSON inside of JSON, and in the replicas' permissions the models' S3
paths and the user's own statements: 10,240 characters for all inline policies of a role (quotas of IAM). The task
definition, 64 KiB (quotas of ECS), has room for what fits the template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from cortex_cdk.config.diagnosis import Diagnosis
from cortex_cdk.config.realtime_api import RealtimeApi
from cortex_cdk.config.sections.iam_policies import statement_characters
from cortex_cdk.config.sections.predictor import Predictor
from cortex_cdk.config.serving_spec import serving_spec
from cortex_cdk.errors import Problem

MOST_TEMPLATE_BYTES = 30_000
"""Of specification, environment and S3 paths together; a test holds the rest of a template to what is left."""
MOST_POLICY_CHARACTERS = 8_500
"""Of S3 paths and statements in a role's policies; a test holds the rest of the policies to what is left."""

_HINTS = {
    "config": "put large values into a file of the project, and read the file in __init__",
    "env": "put large values into .env, or into a file of the project",
    "secrets": "put several values into one JSON secret, and name its keys: NAME:KEY",
    "models": "put the models into one folder, and name the folder in models.dir",
    "iam_policies": "make a managed policy of the statements in IAM, and name its ARN",
}
_PATH = 60  # bytes of a template around a path: a join of the partition and the rest
_STATEMENT = 250  # characters of a policy around the paths of a bucket
_ARN = 65  # characters of the ARN of a secret around its name
_SECRET = 600  # bytes of a template around a secret: its ARN for the container and twice for the permissions


def check_sizes(api: RealtimeApi, diagnosis: Diagnosis) -> Iterator[Problem]:
    """Yield a problem for the field that is too large, or for the largest of those that are too large together.

    Args:
        api: The API.
        diagnosis: Places problems in the file.
    """
    predictor = api.predictor
    of_models, of_statements = policy_characters(predictor), statement_characters(predictor.iam_policies)
    characters = of_models + of_statements
    if characters > MOST_POLICY_CHARACTERS:
        largest = "models" if of_models >= of_statements else "iam_policies"
        what = "name S3 paths" if largest == "models" else "has statements"
        message = (
            f"{what} that take {characters:,} characters of the replicas' permissions, and IAM has room for "
            f"{MOST_POLICY_CHARACTERS:,}"
        )
        if of_models and of_statements:
            message = message.replace(" characters", " characters (models and iam_policies together)")
        yield diagnosis.problem(("predictor", largest), message, _HINTS[largest])
        return
    characters_of_secrets = secret_characters(predictor)
    if characters_of_secrets > MOST_POLICY_CHARACTERS:
        message = (
            f"names secrets that take {characters_of_secrets:,} characters of the permissions to read them, and IAM "
            f"has room for {MOST_POLICY_CHARACTERS:,}"
        )
        yield diagnosis.problem(("predictor", "secrets"), message, _HINTS["secrets"])
        return
    sizes = {
        "config": _bytes(predictor.config),
        "env": sum(len(json.dumps({"Name": name, "Value": value})) for name, value in predictor.env.items()),
        "secrets": sum(_SECRET + len(name) + len(written) for name, written in predictor.secrets.items()),
        "models": _bytes(predictor.models.model_dump(mode="json")) if predictor.models else 0,
    }
    rest = serving_spec(api.model_copy(update={"predictor": _bare(predictor)}), api.networking.endpoint)
    total = sum(sizes.values()) + _bytes(rest) + characters + _PATH * 2 * len(predictor.s3_prefixes)
    total += _STATEMENT * len(_buckets(predictor))
    if total <= MOST_TEMPLATE_BYTES:
        return
    largest = max(sizes, key=sizes.__getitem__)
    message = (
        f"takes {sizes[largest]:,} bytes, as text inside of the API's template: with everything else of the API that "
        f"is {total:,}, and a template has room for {MOST_TEMPLATE_BYTES:,}"
    )
    yield diagnosis.problem(("predictor", largest), message, _HINTS[largest])


def policy_characters(predictor: Predictor) -> int:
    """Count the characters that the models' S3 paths take in the policy of the task role.

    A path stands there four times: alone and with what is below, as ARN and in the condition of its bucket.
    """
    paths = sum(2 * (len(bucket) + 2 * len(prefix) + 32) for bucket, prefix in predictor.s3_prefixes)
    # The bucket stands in its own statement, and twice in the one about keys of KMS.
    return paths + sum(3 * len(bucket) + _STATEMENT for bucket in _buckets(predictor))


def secret_characters(predictor: Predictor) -> int:
    """Count the characters that the secrets take in the policy of the execution role: each stands there twice."""
    names = {reference.name for reference in predictor.secret_references.values()}
    return sum(2 * (len(name) + _ARN) for name in names)


def _buckets(predictor: Predictor) -> set[str]:
    return {bucket for bucket, _ in predictor.s3_prefixes}


def _bare(predictor: Predictor) -> Predictor:
    return predictor.model_copy(update={"config": {}, "env": {}, "secrets": {}, "models": None})


def _bytes(value: object) -> int:
    """Count the bytes that a value takes in a template, as JSON inside of JSON."""
    return len(json.dumps(json.dumps(value, separators=(",", ":"))))
