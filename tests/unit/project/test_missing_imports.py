"""What to do about imports that fail in a replica."""

from __future__ import annotations

import pytest

from cortex_cdk.project.missing_imports import remedy

ADDED = {
    "No module named 'requests'": "requests",
    "No module named 'sklearn'": "scikit-learn",
    "No module named 'cv2'": "opencv-python-headless",
    "No module named 'PIL'": "pillow",
    "No module named 'yaml'": "pyyaml",
    "No module named 'bs4'": "beautifulsoup4",
    "No module named 'skimage'": "scikit-image",
    "No module named 'dateutil'": "python-dateutil",
    "No module named 'sentence_transformers'": "sentence-transformers",
    "No module named 'google.cloud.storage'": "google-cloud-storage",
    "No module named 'torch'": "torch",
    "Missing optional dependency 'openpyxl'.  Use pip or conda to install openpyxl.": "openpyxl",
}


@pytest.mark.parametrize("reason", ADDED)
def test_the_package_that_brings_a_module_is_named(reason: str) -> None:
    assert remedy(f"ModuleNotFoundError: {reason}") == f"add {ADDED[reason]} to requirements.txt"


@pytest.mark.parametrize(
    ("reason", "named"),
    [
        ("ModuleNotFoundError: No module named 'pandass'", "pandas?"),
        ("ModuleNotFoundError: No module named 'sklearn.externals'", "a version of scikit-learn"),
        ("ModuleNotFoundError: No module named 'yaml.nodes'; 'yaml' is not a package", "yaml.py"),
        ("ModuleNotFoundError: No module named 'distutils'", ".python-version"),
        ("ModuleNotFoundError: No module named 'imp'", ".python-version"),
        ("ModuleNotFoundError: No module named 'utils'", "predictor.python_path"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libgl1"),
        ("OSError: libgomp.so.1: cannot open shared object file: No such file or directory", "libgomp1"),
        ("ImportError: libodd.so.7: cannot open shared object file: No such file or directory", "libodd.so"),
    ],
)
def test_what_no_further_package_mends(reason: str, named: str) -> None:
    assert named in (remedy(reason) or "")


@pytest.mark.parametrize("reason", ["ValueError: no", "ImportError: cannot import name 'a' from 'b' (b.py)"])
def test_other_errors_get_no_such_advice(reason: str) -> None:
    assert remedy(reason) is None
