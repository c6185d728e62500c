"""Notices that files of a project have changed, by looking at them again and again.

Looking works on every file system, shared folders of containers included, which tell nobody of changes (decision 0062).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cortex_cdk.errors import ProjectError
from cortex_cdk.project.archive import collect

SHORTEST_PAUSE = 0.1
REST_SECONDS = 0.05
"""How long nothing must have changed: editors write a file in several steps, and several files one after another."""
LONGEST_UNREST = 2.0
"""Seconds after which a project that changes all the time is taken as it is."""
SHARE_OF_TIME = 0.1
"""How much of the time may go into looking."""

Stamp = tuple[int, int, int]
"""When a file was changed (nanoseconds), its size, and its inode, which is another one after a rename."""


class ProjectWatch:
    """Looks at the files of one project, those that are left out excepted.

    Args:
        config_path: The configuration file, which is watched too. Its folder is the project.
        others: More files to watch, such as a request outside the project.
    """

    def __init__(self, config_path: Path, others: Iterable[Path] = ()) -> None:
        self._config = config_path
        self._named = {config_path.name: config_path, **{str(path): path for path in others}}
        self._took = 0.0
        self._known = self._look()

    @property
    def pause(self) -> float:
        """Seconds to wait between two looks: longer where there are many files."""
        return max(SHORTEST_PAUSE, self._took / SHARE_OF_TIME)

    def changes(self) -> tuple[str, ...]:
        """Name the files that were changed, made or removed since the last call.

        Returns once the files are at rest; at once where nothing has changed.
        """
        found = self._look()
        if found == self._known:
            return ()
        deadline = time.monotonic() + LONGEST_UNREST
        while time.monotonic() < deadline:
            time.sleep(REST_SECONDS)
            before, found = found, self._look()
            if found == before:
                break
        names = found.keys() | self._known.keys()
        changed = tuple(sorted(name for name in names if found.get(name) != self._known.get(name)))
        self._known = found
        return changed

    def _look(self) -> Mapping[str, Stamp]:
        began = time.monotonic()
        files = dict(self._named)
        # What is wrong with a project is said by whoever deploys it. Links that lead nowhere are mended meanwhile.
        with suppress(ProjectError):
            files.update((file.name, file.source) for file in collect(self._config.parent, self._config).files)
        stamps = {name: stamp for name, path in files.items() if (stamp := _stamp(path))}
        self._took = time.monotonic() - began
        return stamps


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
