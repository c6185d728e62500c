"""Checks that ask AWS before anything is created: one shape for those of a deployment and those of a cluster.

A check reads, changes nothing, and yields what it found. To add one, write the function and put it into the list of its
package: ``deploy/preflight/checks.py`` or ``clusters/checks.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cortex_cdk.aws.denials import denial_of
from cortex_cdk.aws.errors import error_code
from cortex_cdk.errors import Finding

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One check.

    Attributes:
        what: What is checked, as it follows "could not check".
        find: Yields what is wrong with a subject, or what may go wrong.
    """

    what: str
    find: Callable[[Subject], Iterable[Finding]]


def run_checks(checks: Sequence[Check[Subject]], subject: Subject, name: str) -> list[Finding]:
    """Run every check and collect what all of them found.

    A check that cannot be made (a permission is missing, an emulator lacks the service) is a warning and stops nobody.

    Args:
        checks: What to run, in the order in which findings shall be shown.
        subject: What is checked.
        name: What a warning about the checks themselves is about.
    """
    return [finding for check in checks for finding in _attempt(check, subject, name)]


def _attempt(check: Check[Subject], subject: Subject, name: str) -> Iterator[Finding]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield from check.find(subject)
    except ClientError as error:
        denial = denial_of(error)
        answer = denial.sentence if denial else f"{error.operation_name} answered {error_code(error)}"
        yield Finding(name, f"could not check {check.what}: {answer}", fatal=False)
    except BotoCoreError as error:
        yield Finding(name, f"could not check {check.what}: {error}", fatal=False)
