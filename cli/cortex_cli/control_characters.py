"""Shows control characters rather than sends them to a terminal, which would obey them.

Clients, predictors and answers choose text that the commands print. With an escape sequence such a text could rewrite
what the terminal shows, or type for the user. Where the output is no terminal, text stays as it is.
"""

from __future__ import annotations

import re
import sys

# C0 but tab and the ends of lines, DEL, and C1, which starts sequences in one character (ECMA-48).
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def on_stdout(text: str) -> str:
    """Return a text as stdout may show it."""
    return visible(text) if sys.stdout.isatty() else text


def on_stderr(text: str) -> str:
    """Return a text as stderr may show it."""
    return visible(text) if sys.stderr.isatty() else text


def visible(text: str) -> str:
    """Return a text with every control character but tab and newline as an escape of JSON: ``\\u001b``."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
