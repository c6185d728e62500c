"""Whether the models on S3 exist, and have the files that the predictor's type needs, as far as S3 tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_serving.models.catalog import Place
from cortex_serving.models.stores import StoredFile

from cortex_cdk.aws.errors import error_code
from cortex_cdk.config import RealtimeApi
from cortex_cdk.deploy.deployment import Deployment
from cortex_cdk.errors import Finding

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

_SCHEME = "s3://"
_COPY = "copy the model there (aws s3 cp --recursive), or correct the path"


class _Listed:
    """The files of a place, as a store that has listed them already. Nothing of them is fetched."""

    def __init__(self, found: Sequence[StoredFile]) -> None:
        self._found = list(found)

    def files(self) -> list[StoredFile]:
        return self._found

    def local(self, prefix: str, files: Sequence[StoredFile], target: Path) -> Path:
        raise NotImplementedError("files that were only listed are not fetched")


def check_models(deployment: Deployment) -> Iterator[Finding]:
    """Look for the models on S3. What may not be listed from here is left to the replicas, which have another role.

    Costs a call for each place. Of a place with more than 1000 objects, only that there are any is checked.
    """
    for api in deployment.wanted.config.apis:
        for field, location, is_folder_of_models in _places(api):
            if location.startswith(_SCHEME):
                yield from _check(deployment.cloud.s3, api, field, location, is_folder_of_models)


def _places(api: RealtimeApi) -> Iterator[tuple[str, str, bool]]:
    """Yield each place of models: field, location, and whether each folder there is a model."""
    predictor = api.predictor
    if predictor.model_path:
        yield "predictor.model_path", predictor.model_path, False
    if predictor.models and predictor.models.dir:
        yield "predictor.models.dir", predictor.models.dir, True
    for model in (predictor.models and predictor.models.paths) or ():
        yield f"model {model.name}", model.model_path, False


def _check(s3: S3Client, api: RealtimeApi, field: str, location: str, is_folder: bool) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    bucket, _, prefix = location.removeprefix(_SCHEME).partition("/")
    prefix = prefix.strip("/")
    try:
        objects, is_complete = _objects(s3, bucket, prefix)
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            yield Finding(api.name, f"{field}: the bucket of {location} does not exist", _COPY)
        return
    if not objects:
        # A folder of models may be filled later: replicas look for new ones.
        yield Finding(api.name, f"{field}: there is nothing at {location}", _COPY, fatal=not is_folder)
    elif is_complete:
        yield from _layout(api, field, location, objects, is_folder)


def _objects(s3: S3Client, bucket: str, prefix: str) -> tuple[list[StoredFile], bool]:
    """Return the files below a prefix, or the one of that name, and whether these are all."""
    below = f"{prefix}/" if prefix else ""
    page = s3.list_objects_v2(Bucket=bucket, Prefix=below)
    found = [_file(item, item["Key"][len(below) :]) for item in page.get("Contents", []) if item["Key"][-1:] != "/"]
    if not found and prefix:
        only = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
        found = [_file(item, "") for item in only if item["Key"] == prefix]
    return found, not page["IsTruncated"]


def _file(item: ObjectTypeDef, path: str) -> StoredFile:
    return StoredFile(path, item["Size"], item["ETag"])


def _layout(
    api: RealtimeApi, field: str, location: str, objects: Sequence[StoredFile], is_folder: bool
) -> Iterator[Finding]:
    """Say what is wrong with the files of each version of each model, as the serving program tells them apart."""
    wrong = api.predictor.kind.wrong_files
    if wrong is None:
        return
    place = Place(location, None if is_folder else "", _Listed(objects), None)
    for name, versions in place.models().items():
        for files in versions.values():
            # A model that is one file has no path below its place, and may have any name.
            paths = [file.path for file in files.files if file.path]
            reason = wrong(paths) if paths else None
            if reason:
                where = "/".join(part for part in (location.rstrip("/"), files.prefix) if part)
                yield Finding(api.name, f"{f'model {name}' if name else field}: {where} {reason}", _COPY)
