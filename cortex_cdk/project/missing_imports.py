"""Says what to do about an import that fails in a replica: mostly, which package to name in ``requirements.txt``."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping

from cortex_serving.contract import DEPENDENCIES_SCRIPT, REQUIREMENTS_FILE

PACKAGES: Mapping[str, str] = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google.protobuf": "protobuf",
    "grpc": "grpcio",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "magic": "python-magic",
    "pkg_resources": "setuptools<81",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pydantic_settings": "pydantic-settings",
    "pymysql": "PyMySQL",
    "pytorch_lightning": "pytorch-lightning",
    "ruamel": "ruamel.yaml",
    "sentence_transformers": "sentence-transformers",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "tensorflow_hub": "tensorflow-hub",
    "umap": "umap-learn",
    "whisper": "openai-whisper",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Packages whose name is not that of the module that they bring. A replica needs no window: OpenCV comes without."""
_WELL_KNOWN = (
    *("catboost", "dill", "flask", "gensim", "joblib", "keras", "lightgbm", "matplotlib", "msgpack", "nltk", "numpy"),
    *("onnxruntime", "pandas", "polars", "pyarrow", "redis", "requests", "scipy", "spacy", "statsmodels", "tensorflow"),
    *("tokenizers", "torch", "torchvision", "tqdm", "transformers", "xgboost"),
)
_OWN = frozenset({"app", "common", "config", "data", "helpers", "lib", "model", "models", "scripts", "src", "utils"})
"""Names that people give to modules of their own."""
_REMOVED = frozenset(
    {"asynchat", "asyncore", "cgi", "crypt", "distutils", "imghdr", "imp", "lib2to3", "pipes", "smtpd", "telnetlib"}
)
"""Modules that Python 3.12 and 3.13 have no more ("What's New")."""
_LIBRARIES: Mapping[str, str] = {
    "libGL.so": "libgl1",
    "libGLESv2.so": "libgles2",
    "libSM.so": "libsm6",
    "libX11.so": "libx11-6",
    "libXext.so": "libxext6",
    "libXrender.so": "libxrender1",
    "libglib-2.0.so": "libglib2.0-0",
    "libgomp.so": "libgomp1",
    "libgthread-2.0.so": "libglib2.0-0",
    "libpq.so": "libpq5",
    "libsndfile.so": "libsndfile1",
    "libmagic.so": "libmagic1",
}
"""Debian's packages of the system libraries that Python packages expect."""
_MODULE = re.compile(r"No module named '?([\w.]+)'?(; '[\w.]+' is not a package)?")
_OPTIONAL = re.compile(r"Missing optional dependency '([\w.-]+)'")
_LIBRARY = re.compile(r"\b(lib[\w.+-]+?\.so)[\d.]*: cannot open shared object file")


def remedy(reason: str) -> str | None:
    """Say what to do about an error of a replica.

    Args:
        reason: The error in one line, such as ``ModuleNotFoundError: No module named 'cv2'``.

    Returns:
        What to do, without a full stop; None where the error is not about an import.
    """
    module, optional, library = (pattern.search(reason) for pattern in (_MODULE, _OPTIONAL, _LIBRARY))
    if module:
        return _of_module(module[1], shadowed=bool(module[2]))
    if optional:
        return _add(PACKAGES.get(optional[1], optional[1]))
    if library:
        package = _LIBRARIES.get(library[1])
        what = f"apt-get update && apt-get install -y {package}" if package else f"install what has {library[1]}"
        return f"write {DEPENDENCIES_SCRIPT} ({what})"
    return None


def _of_module(module: str, *, shadowed: bool) -> str:
    top = module.partition(".")[0]
    if shadowed:
        return f"rename the project's {top}.py, which hides the package of that name,"
    if module in PACKAGES or (top == "google" and module != top):
        return _add(PACKAGES.get(module, module.replace(".", "-")))
    if top != module:
        # Python names the first part that is missing, so the package is there.
        return f"name a version of {PACKAGES.get(top, top)} that has {module} in {REQUIREMENTS_FILE}"
    return _of_top_level(top)


def _of_top_level(top: str) -> str:
    if top in sys.stdlib_module_names or top in _REMOVED:
        return f"correct the import, or name a Python that has {top} in .python-version"
    if top in _OWN:
        return f"correct the import: {top} is not in the project's folder, nor in predictor.python_path; then"
    close = difflib.get_close_matches(top, {*_WELL_KNOWN, *PACKAGES} - {top}, n=1, cutoff=0.85)
    if close and top not in _WELL_KNOWN:
        return f"correct the import ({close[0]}?), or add {top} to {REQUIREMENTS_FILE},"
    return _add(top.replace("_", "-"))


def _add(package: str) -> str:
    return f"add {package} to {REQUIREMENTS_FILE}"
