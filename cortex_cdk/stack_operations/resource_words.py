"""Names the resources of a stack in words.

A template's logical ids (``ServiceD69D759B``) are made up by the CDK from the names of constructs and a hash. They mean
nothing to a user, so nothing that people read has one.
"""

from __future__ import annotations

import itertools
import re

_HASH = r"[0-9A-F]{8}"
_ID_IN_TEXT = re.compile(rf"(?<![\w/:-])([A-Z][A-Za-z0-9]*?){_HASH}(?![\w-])")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Where the CDK's construct for scaling puts its resources.
_SCALING = re.compile(r"^ServiceTaskCount(Target)?")
# Of the parts of an instance group only its name tells one from another.
_GROUP = re.compile(r"^Group([a-z0-9].*?)(InstancesASG|TemplateProfile|Template|Provider)?$")
# Rules of security groups, which the CDK names by both ends.
_PEER = re.compile(r"(?:to|from)cortex\w+$")


def in_words(logical_id: str, resource_type: str) -> str:
    """Name a resource by its type, and by what tells it from others of its type.

    Args:
        logical_id: Such as ``AlarmsErrorsE6AA3AE1``.
        resource_type: Such as ``AWS::CloudWatch::Alarm``.

    Returns:
        Such as ``alarm (errors)``.
    """
    kind = _words(resource_type.rpartition("::")[2])
    shortened = _PEER.sub("", _SCALING.sub("", re.sub(f"{_HASH}$", "", logical_id)))
    own = _words(_GROUP.sub(r"\1", shortened))
    if own[-len(kind) :] == kind:
        return " ".join(own)
    rest = [word for word in own if word.rstrip("s") not in {known.rstrip("s") for known in kind}]
    return " ".join(kind) + (f" ({' '.join(rest)})" if rest else "")


def without_ids(text: str) -> str:
    """Put words in the place of the logical ids in a reason that CloudFormation gives."""
    return _ID_IN_TEXT.sub(lambda found: " ".join(_words(found.group(1))), text)


def _words(name: str) -> list[str]:
    words = (word if word.isupper() and len(word) > 1 else word.lower() for word in _WORD.findall(name))
    return [word for word, _ in itertools.groupby(words)]
