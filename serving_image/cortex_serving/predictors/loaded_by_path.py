"""Stands for a predictor's file that no import finds by a name (``v1.2/predictor.py``; one outside ``python_path``).

An import of this module runs that file in this module's place: in a worker, and in the processes that a predictor
starts. A module of its own, not a part of ``loading``: a class of the file says this module's name, and a process
that is spawned looks the class up under it, by an import that must run nothing else (docs/decisions/0020).
"""

from __future__ import annotations

import importlib.util
import os
import sys

from cortex_serving.contract import Variable

_spec = importlib.util.spec_from_file_location(__name__, os.environ[Variable.PREDICTOR_FILE])
assert _spec is not None and _spec.loader is not None
sys.modules[__name__] = _module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
