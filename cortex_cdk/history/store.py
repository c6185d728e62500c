"""Records of deployments in the cluster's bucket: numbered, written, read and dropped.

A number is taken by whoever writes its object first: S3 refuses a conditional write of an object that is there ("How to
prevent object overwrites with conditional writes", Amazon S3 user guide). No lock could be left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from cortex_cdk import names
from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_code
from cortex_cdk.history.record import DEPLOYED, IN_PROGRESS, Record, now

KEPT = 20
"""How many records an API or splitter keeps; the newest two deployments that served are kept in any case."""
_READERS = 16
_TAKEN = frozenset({"PreconditionFailed", "412"})
# S3 answers so where another write of the same object is under way.
_CONFLICTS = frozenset({"ConditionalRequestConflict", "409"})


class RecordStore:
    """The records of one API or traffic splitter.

    Args:
        cloud: A session of the environment.
        bucket: The cluster's bucket.
        api: The name of the API or splitter.
    """

    def __init__(self, cloud: Cloud, bucket: str, api: str) -> None:
        self._cloud = cloud
        self._bucket = bucket
        self._api = api

    def read(self) -> list[Record]:
        """Read all records, the newest first."""
        keys = _keys(self._cloud, self._bucket, names.history_prefix(self._api))
        return sorted(_read(self._cloud, self._bucket, keys), key=lambda record: -record.number)

    def newest(self) -> Record | None:
        """Read the newest record; None where there is none."""
        keys = _keys(self._cloud, self._bucket, names.history_prefix(self._api))
        return next(_read(self._cloud, self._bucket, list(keys)[-1:]), None)

    def add(self, record: Record) -> Record:
        """Write a new record under the next number, whatever number it has.

        Returns:
            The record with its number.
        """
        from botocore.exceptions import ClientError

        number = 0
        while True:
            keys = _keys(self._cloud, self._bucket, names.history_prefix(self._api))
            number = max([number, *(names.number_of(key) or 0 for key in keys)]) + 1
            numbered = replace(record, number=number)
            try:
                self._put(numbered, only_if_new=True)
            except ClientError as error:
                if error_code(error) in _CONFLICTS:
                    number -= 1
                elif error_code(error) not in _TAKEN:
                    raise
            else:
                return numbered

    def write(self, record: Record) -> None:
        """Write a record in the place of the one with its number."""
        self._put(record, only_if_new=False)

    def end(self, number: int, outcome: str, reason: str) -> None:
        """Write how a deployment ended that was begun without waiting, unless that is written already.

        Args:
            number: Its number.
            outcome: How it ended.
            reason: Why, in one line.
        """
        for record in _read(self._cloud, self._bucket, [names.history_key(self._api, number)]):
            if record.outcome == IN_PROGRESS:
                self.write(record.ending(outcome, reason.removeprefix(f"{self._api}: "), at=now()))

    def drop(self, records: Iterable[Record], *, needed: Iterable[str] = ()) -> None:
        """Remove records, and the archives and configurations that nothing else needs.

        Args:
            records: The records to remove.
            needed: Keys of objects that are kept.
        """
        records = list(records)
        own = [names.history_key(self._api, record.number) for record in records]
        for key in [*own, *(_needed_by(records) - set(needed))]:
            self._cloud.s3.delete_object(Bucket=self._bucket, Key=key)

    def drop_old(self, needed: Iterable[str]) -> None:
        """Remove the records beyond the newest ``KEPT``.

        Args:
            needed: Keys of objects that are kept, because what serves is made of them.
        """
        if len(list(_keys(self._cloud, self._bucket, names.history_prefix(self._api)))) <= KEPT:
            return
        records = self.read()
        keeping = kept(records)
        dropped = [record for record in records if record not in keeping]
        self.drop(dropped, needed={*needed, *_needed_by(keeping)})

    def remove(self) -> bool:
        """Remove every record, with the archives and configurations that they name.

        Returns:
            Whether there was one.
        """
        records = self.read()
        self.drop(records)
        return bool(records)

    def _put(self, record: Record, *, only_if_new: bool) -> None:
        key, body = names.history_key(self._api, record.number), record.to_json().encode()
        if only_if_new:
            self._cloud.s3.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
        else:
            self._cloud.s3.put_object(Bucket=self._bucket, Key=key, Body=body)


def kept(records: list[Record]) -> list[Record]:
    """Of all records, the newest first, those that are kept."""
    served = [record for record in records if record.outcome == DEPLOYED][:2]
    return [*records[:KEPT], *(record for record in served if record not in records[:KEPT])]


def _needed_by(records: Iterable[Record]) -> set[str]:
    """The keys of what has to be there, so that records can be deployed again."""
    found = set()
    for record in records:
        if record.release.archive:
            found.add(names.project_key(record.api, record.release.archive))
        found.add(names.configuration_key(record.release.specification))
    return found


def recorded_images(cloud: Cloud, bucket: str) -> set[str]:
    """The references of the images that the records of all APIs of a cluster name."""
    records = _read(cloud, bucket, _keys(cloud, bucket, names.HISTORY_PREFIX))
    return {record.release.image for record in records if record.release.image}


def _keys(cloud: Cloud, bucket: str, prefix: str) -> Iterator[str]:
    """The keys of records below a prefix, in the order of APIs and numbers."""
    for page in cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            if names.number_of(item["Key"]) is not None:
                yield item["Key"]


def _read(cloud: Cloud, bucket: str, keys: Iterable[str]) -> Iterator[Record]:
    """Read records; what another version wrote that is none for this one, or is gone meanwhile, is passed over."""
    from botocore.exceptions import ClientError

    def read(key: str) -> Record | None:
        try:
            return Record.from_json(cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ValueError:
            return None
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise

    with ThreadPoolExecutor(_READERS) as pool:
        yield from (record for record in pool.map(read, keys) if record)
