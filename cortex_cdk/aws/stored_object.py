"""An object of S3 as a file that is read in pieces: of a large zip, its list of files and the few that matter."""

from __future__ import annotations

import io
from typing import Any

from cortex_cdk.aws.cloud import Cloud
from cortex_cdk.aws.errors import error_message

_BLOCK = 2**16


class StoredObject(io.RawIOBase):
    """One object. Made by ``open``."""

    def __init__(self, cloud: Cloud, bucket: str, key: str, size: int) -> None:
        self._cloud, self._bucket, self._key, self._size = cloud, bucket, key, size
        self._at = 0

    @classmethod
    def open(cls, cloud: Cloud, bucket: str, key: str) -> io.BufferedReader | None:
        """Open an object; None where it cannot be read."""
        from botocore.exceptions import ClientError

        try:
            size = cloud.s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError:
            return None
        return io.BufferedReader(cls(cloud, bucket, key, size), _BLOCK)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        piece = self._read(f"bytes={self._at}-{end - 1}")
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _read(self, part: str) -> bytes:
        from botocore.exceptions import ClientError

        try:
            return self._cloud.s3.get_object(Bucket=self._bucket, Key=self._key, Range=part)["Body"].read()
        except ClientError as error:
            raise OSError(f"s3://{self._bucket}/{self._key} cannot be read: {error_message(error)}") from error
