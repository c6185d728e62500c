"""Reads YAML's scalars as the original Cortex did, whose parser was go-yaml 2 (its file ``resolve.go``).

Cortex's configuration was read by github.com/cortexlabs/yaml, a fork of gopkg.in/yaml.v2. PyYAML follows YAML 1.1, and
YAML 1.2 is a third dialect; they differ in these scalars (each has a test):

    ==================  ============  ============  ===============  =============================================
    scalar              PyYAML (1.1)  YAML 1.2      go-yaml 2, here  why
    ==================  ============  ============  ===============  =============================================
    ``1e-5``, ``1e5``   text          number        number           learning rates; text is never what was meant
    ``yes no on off``   boolean       text          boolean          ``use_gpu: no`` as text would be true
    ``y n``             text          text          boolean, text    in ``predictor.config`` as go-yaml 2; elsewhere,
                                                                     where fields have types, and as keys: text
    ``1:30``            90            text          text             base 60 is dropped everywhere but in YAML 1.1
    ``2020-09-29``      date          text          text             JSON, and so the predictor, has no dates
    ``0777``            511           777           511
    ``0o17``            text          15            15
    ``0b11``            3             text          3
    ``1_000``           1000          text          1000
    ``08``, ``09``      text          8, 9          8.0, text        the same; an AWS account may begin with 0
    ``=``               an error      text          text
    2**64 and above     integer       integer       float            as ``strconv.ParseFloat``
    ``1e400``           text          infinity      an error         go-yaml has text; nobody means that
    ==================  ============  ============  ===============  =============================================

A boolean that is written as a word may have been meant as text (the country ``NO``): see ``Document.booleans``.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_BOOLEANS = re.compile(r"(?:true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF)$")
_NULLS = re.compile(r"(?:~|null|Null|NULL|)$")
_OCTAL = re.compile(r"[-+]?0[oO]?(?=_*[0-7])[0-7_]+$")
_INTEGERS = re.compile(
    rf"""[-+]?0[bB](?=_*[01])[01_]+$
       |{_OCTAL.pattern}
       |[-+]?0[xX](?=_*[0-9a-fA-F])[0-9a-fA-F_]+$
       |[-+]?(?:0|[1-9][0-9_]*)$""",
    re.VERBOSE,
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]*[89][0-9_]*$")
_FLOATS = re.compile(
    rf"""(?!{_LEADING_ZERO.pattern})[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$
       |[-+]?\.(?:inf|Inf|INF)$
       |\.(?:nan|NaN|NAN)$""",
    re.VERBOSE,
)
_WORDS = {"yes": True, "on": True, "no": False, "off": False}
AMBIGUOUS = "tag:cortex-cdk,2026:ambiguous"
"""Tag of plain scalars that are text, except in ``predictor.config``; see ``free_form_value``."""
_LETTERS = {"y": True, "Y": True, "n": False, "N": False}
_LARGEST, _SMALLEST = 2**64 - 1, -(2**63)


class ScalarLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with the scalars of go-yaml 2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the shape that PyYAML defines


def _construct_bool(_: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    if not _BOOLEANS.match(str(node.value)):
        raise ValueError("not a boolean")
    return {**_WORDS, "true": True, "false": False}[str(node.value).lower()]


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    text = str(node.value).replace("_", "")
    if _OCTAL.match(text):
        text = re.sub(r"^([-+]?)0[oO]?", r"\g<1>0o", text)
    number = int(text, 0)  # raises ValueError for other text with an explicit tag
    return number if _SMALLEST <= number <= _LARGEST else float(number)


def is_word(text: str) -> bool:
    """Return whether a boolean is written as a word or letter such as ``no``, which is text in YAML 1.2."""
    return text.lower() in _WORDS or text in _LETTERS


def free_form_value(text: str) -> Any:
    """Read an ambiguous scalar of ``predictor.config`` as go-yaml 2 does: a boolean or a float."""
    return _LETTERS[text] if text in _LETTERS else float(text.replace("_", ""))


# In the order in which go-yaml tries them: an integer before a float.
for _name, _pattern in (("bool", _BOOLEANS), ("null", _NULLS), ("int", _INTEGERS), ("float", _FLOATS)):
    ScalarLoader.add_implicit_resolver(f"{_TAG}{_name}", _pattern, None)
ScalarLoader.add_implicit_resolver(AMBIGUOUS, re.compile(rf"[yYnN]$|{_LEADING_ZERO.pattern}"), None)
ScalarLoader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<$"), ["<"])
ScalarLoader.add_constructor(f"{_TAG}bool", _construct_bool)
ScalarLoader.add_constructor(f"{_TAG}int", _construct_int)
