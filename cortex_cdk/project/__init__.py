"""What a project installs: ``requirements.txt``, ``conda-packages.txt``, ``dependencies.sh``, the version of Python.

    folder -> read_dependencies   the files that an image is built from, and everything that is wrong with them

The names are Cortex's, and so is the order in the image: the script, then conda, then pip. Files that these name (other
requirements, wheels, a ``pip.conf``) belong to them; nothing else of the project gets into an image.
"""

from cortex_cdk.project.dependencies import (
    INSTALLED,
    NO_DEPENDENCIES,
    Dependencies,
    DependencyFile,
    read_dependencies,
)

__all__ = ["INSTALLED", "NO_DEPENDENCIES", "Dependencies", "DependencyFile", "read_dependencies"]
