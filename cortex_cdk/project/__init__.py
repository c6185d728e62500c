"""The user's project: which files are uploaded (``archive``), and what they install (``dependencies``, read it first).

    folder -> archive        the project's files, packed as a zip
           -> dependencies   ``requirements.txt``, ``conda-packages.txt``, ``dependencies.sh``, ``.python-version``

The names of the dependency files are Cortex's, and so is their order in the image: the script, conda, pip. Files that
they name (further requirements, wheels, a ``pip.conf``) go into the image too; no other file of the project does.

May import: ``errors``.
"""

from cortex_cdk.project.dependencies import (
    INSTALLED,
    NO_DEPENDENCIES,
    Dependencies,
    DependencyFile,
    read_dependencies,
)

__all__ = ["INSTALLED", "NO_DEPENDENCIES", "Dependencies", "DependencyFile", "read_dependencies"]
