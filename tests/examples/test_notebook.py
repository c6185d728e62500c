"""The notebook has the cells of the page on the Python client, which a test of ``cortex predict`` runs."""

import json

from tests.conftest import ROOT
from tests.examples.test_documentation import blocks


def test_the_notebook_has_the_cells_of_the_page() -> None:
    notebook = json.loads((ROOT / "examples/notebook/train-and-deploy.ipynb").read_text())
    cells = ["".join(cell["source"]) + "\n" for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells == blocks(ROOT / "docs/python-client.md", "python")[: len(cells)]
    assert len(cells) == 4
