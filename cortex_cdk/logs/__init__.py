"""An API's logs in CloudWatch: read, followed, searched and filtered.

``records`` (read this module first) has what a replica writes. ``filters`` says which records are wanted, ``moments``
from when until when, ``streams`` in which log streams they are. ``reading`` gets them, each once.

May import: ``config.quantities``, ``aws``, ``errors``.
"""

from cortex_cdk.logs.filters import EVERYTHING, LogFilter
from cortex_cdk.logs.reading import fatal_record, follow, read, search, troubles
from cortex_cdk.logs.records import LogRecord, is_metrics, parse

__all__ = [
    "EVERYTHING",
    "LogFilter",
    "LogRecord",
    "fatal_record",
    "follow",
    "is_metrics",
    "parse",
    "read",
    "search",
    "troubles",
]
