"""Says in our words why packages could not be installed, for what people meet often; uv and pip say the rest.

Their hints speak of their own options and files, which are not at hand in a build; so these are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex_serving.contract import DEPENDENCIES_SCRIPT
from cortex_serving.image_context import program_requirements

from cortex_cdk.project import python_version

_PYTHON = re.compile(r"Using C?Python (\d+)\.(\d+)")
_PACKAGE = r"([\w.-]+)==([\w.+!-]+)"
_FAILED_BUILD = re.compile(rf"error: Failed to build `{_PACKAGE}`")
_INCLUDED = re.compile(r"was included because `([\w.-]+)` \(v([\w.+!-]+)\) depends on")
_NO_WHEEL = re.compile(
    r"([\w.-]+)([=<>]=?[\w.+!,<>=-]+) has no wheels? with a matching (Python ABI|Python version|platform) tag"
)
_DEPENDS = re.compile(rf"{_PACKAGE} depends on ([\w.-]+)")
_ABI_TAGS = re.compile(r"following Python (?:ABI|version) tags?: (.+)")
_TAG = re.compile(r"`(?:cp|py)(\d)(\d+)\w*`")
_COMPILER = re.compile(
    r"command '?(?:gcc|g\+\+|cc|[\w-]*-gcc)'? failed: No such file|(?:gcc|g\+\+|cc): not found|No C compiler"
)
_RUST = re.compile(r"can't find Rust compiler|cargo.*(?:not found|is not installed)|Rust toolchain")
_OFTEN_CONFUSED = re.compile(r"`([\w.-]+)` is often confused for `([\w.-]+)`")
_OTHER_INDEX = re.compile(r"hint: `([\w.-]+)` was found on (\S+), but not at the requested version")
_EDITABLE = re.compile(r"Unsupported editable requirement in `[^`]*`(?: at line \d+)?: `([^`]+)`")
_UNREACHABLE = re.compile(r"Failed to fetch: `?(\w+://[^/`\s]+)")
_NETWORK = re.compile(
    r"dns error|client error \(Connect\)|tcp connect error|tunnel error|timed out|error sending request"
)
# uv proves that no versions fit, in as many sentences as that takes. Lists in them have a line for each entry.
_SENTENCE = re.compile(r"^(?:cause: )?(?:Because|And because) ", re.MULTILINE)
CONCLUSION = ", we can conclude that "
_CONCLUSION = re.compile(r",?\s*we can conclude that ")
UNSATISFIABLE = "your requirements are unsatisfiable."
"""How uv's proof ends."""
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|os error (?:28|122)\b")
_OF_TORCH = "download.pytorch.org"


@dataclass(frozen=True)
class Cause:
    """Why packages could not be installed.

    Attributes:
        reason: One line.
        hint: What to do; None where the file has to be corrected.
    """

    reason: str
    hint: str | None


def find_cause(lines: Sequence[str]) -> Cause | None:
    """Find a cause that is known in the log of a build.

    Args:
        lines: The whole log.

    Returns:
        The cause; None where uv or pip speak for themselves.
    """
    text = "\n".join(line.strip() for line in lines)
    return next((cause for find in _CAUSES if (cause := find(text))), None)


def full_disk(lines: Sequence[str]) -> Cause | None:
    """Find out whether a build failed for a full disk, that of this machine or of the builder, whatever it did then.

    Args:
        lines: The whole log.
    """
    if not any(_NO_SPACE.search(line) for line in lines):
        return None
    return Cause(
        "no space is left on the disk for the dependencies",
        "make room (on this machine: set CORTEX_HOME to a folder on another disk), or depend on less",
    )


def _no_wheel(text: str) -> Cause | None:
    match = _NO_WHEEL.search(text)
    if match is None:
        return None
    name, version, kind = match.groups()
    version = f" {version[2:]}" if version.startswith("==") else version
    wanted = next((found for found in _DEPENDS.finditer(text) if found[3] == name), None)
    what = f"{name}{version}{_wanted_by(wanted[1], wanted[2]) if wanted else ''}"
    if kind == "platform":
        return Cause(f"{what} has no wheel for this kind of machine", f"choose another version of {name}")
    tags = _ABI_TAGS.search(text)
    pythons = sorted({(int(major), int(minor or 0)) for major, minor in _TAG.findall(tags[1])}) if tags else []
    there = f" (it has wheels for {_range(pythons)})" if pythons else ""
    usable = not pythons or any(python >= python_version.OLDEST for python in pythons)
    hint = _loosen(text, usable=usable)
    return Cause(f"{what} has no wheel for {_python(text)}{there}", hint)


def _failed_build(text: str) -> Cause | None:
    confused, failed = _OFTEN_CONFUSED.search(text), _FAILED_BUILD.search(text)
    if confused:
        return Cause(f"{confused[1]} cannot be installed", f"name {confused[2]} instead of {confused[1]}")
    if failed is None:
        return None
    included = _INCLUDED.search(text)
    what = f"{failed[1]} {failed[2]}{_wanted_by(included[1], included[2]) if included else ''}"
    reason = f"{what} has no wheel for {_python(text)} and compiling it failed"
    if _COMPILER.search(text):
        return Cause(f"{reason}: there is no compiler", _install("build-essential", text))
    if _RUST.search(text):
        return Cause(f"{reason}: there is no Rust compiler", _loosen(text, usable=True))
    return Cause(reason, _loosen(text, usable=True))


def _editable(text: str) -> Cause | None:
    match = _EDITABLE.search(text)
    return (
        Cause(f"{match[1]} cannot be installed with -e, only a folder of the project can", "remove -e")
        if match
        else None
    )


def _other_index(text: str) -> Cause | None:
    match = _OTHER_INDEX.search(text)
    if match is None:
        return None
    name, index = match.groups()
    return Cause(
        f"{name} is taken from {index}, the first index that has it, and that has no version that is asked for",
        "put the version there; or, if you trust all of your indexes alike, write a uv.toml beside requirements.txt "
        'with the lines [pip] and index-strategy = "unsafe-best-match"',
    )


def _unreachable(text: str) -> Cause | None:
    match = _UNREACHABLE.search(text)
    if match is None or not _NETWORK.search(text):
        return None
    if _OF_TORCH in match[1]:
        hint = (
            "let the build reach it; or take PyPI's wheels, which bring CUDA along (3 GB): put the line "
            "--index-url https://pypi.org/simple into requirements.txt"
        )
        return Cause(f"{match[1]}, which has the wheels of PyTorch for CPUs and GPUs, cannot be reached", hint)
    return Cause(
        f"{match[1]} cannot be reached, and a package is missing that was never downloaded before",
        "look at the network and at HTTPS_PROXY, then deploy again: what was downloaded once is kept",
    )


def _no_solution(text: str) -> Cause | None:
    """The end of uv's proof: what is wanted, and what stands against that."""
    *before, last = _SENTENCE.split(text)
    wanted, *concluded = _CONCLUSION.split(last)
    if not concluded or not concluded[-1].startswith(UNSATISFIABLE):
        return None
    reasons = [" ".join(wanted.split())]
    premise, *conclusions = _CONCLUSION.split(before[-1].strip()) if len(before) > 1 else [""]
    if conclusions and "\n" not in before[-1].strip():
        # Whoever is told what they "require" would look for it in vain in their file.
        reasons.insert(0, premise if conclusions[-1].startswith("you require") else conclusions[-1].rstrip("."))
    reason = f"the requirements cannot be met: {', and '.join(reasons)}"
    ours = {_wish(line) for line in program_requirements()}
    named = [word for word in reason.split() if _wish(word) in ours]
    return Cause(f"{reason} ({', '.join(named)} is for the serving program)" if named else reason, None)


def _wish(requirement: str) -> tuple[str, frozenset[str]]:
    """A requirement, whichever way its versions are ordered."""
    name = re.match(r"[\w.-]*", requirement)
    package = name[0] if name else ""
    return package, frozenset(requirement.removeprefix(package).split(","))


_CAUSES: tuple[Callable[[str], Cause | None], ...] = (
    _editable,
    _other_index,
    _no_wheel,
    _failed_build,
    _unreachable,
    _no_solution,
)


def _wanted_by(name: str, version: str) -> str:
    return f", wanted by {name} {version},"


def _python(text: str) -> str:
    match = _PYTHON.search(text)
    return f"Python {match[1]}.{match[2]}" if match else "this Python"


def _range(pythons: Sequence[tuple[int, int]]) -> str:
    first, last = (".".join(map(str, python)) for python in (pythons[0], pythons[-1]))
    return f"Python {first}" if first == last else f"Python {first} to {last}"


def _loosen(text: str, *, usable: bool) -> str:
    match = _PYTHON.search(text)
    is_oldest = match is not None and (int(match[1]), int(match[2])) <= python_version.OLDEST
    if not usable:
        return f"loosen the version: replicas need Python {'.'.join(map(str, python_version.OLDEST))} or newer"
    return "loosen the version" if is_oldest else "loosen the version, or name an older Python in .python-version"


def _install(package: str, text: str) -> str:
    return (
        f"{_loosen(text, usable=True)}, or write {DEPENDENCIES_SCRIPT}: apt-get update && apt-get install -y {package}"
    )
