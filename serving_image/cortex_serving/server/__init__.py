"""waitress made faster through its own seams; ``CORTEX_HTTP=stock`` turns all of it off.

Each module is one change, and each can be left out (``CORTEX_HTTP=-epoll,-leader``), so that its worth can be measured:

* ``request``: ordinary request headers are read with tables instead of regular expressions.
* ``bodies``: bodies arrive in large pieces and stay in memory.
* ``whole``: a request that came in one piece is taken without the bookkeeping for parts.
* ``environment``: the constant part of the WSGI environment is made once.
* ``reply``: response headers come from templates, and leave together with the body, without a task in between.
* ``direct``: a response goes straight to the socket, and through buffers only as far as the socket does not take it.
* ``epoll``: registrations that persist, instead of lists that are made anew for every turn of the loop.
* ``leader``: the thread that polled a request answers it, while answers come quickly.
* ``together``: what it answered in one turn of the loop leaves together.

Whatever a fast path does not recognise goes to waitress's own code. HTTP parsing is security code: a fast path decides
only about requests that it has understood completely, and its answers are compared with stock waitress byte for byte
(``tests/server/test_http.py``).
"""

from __future__ import annotations

from cortex_serving.errors import SpecError

CHANGES = ("request", "bodies", "whole", "environment", "reply", "direct", "epoll", "leader", "together")
_NEEDS = {
    "leader": {"epoll"},
    "together": {"leader", "epoll", "reply"},
    "bodies": {"request"},
    "whole": {"request", "bodies"},
}


def chosen(text: str | None) -> frozenset[str]:
    """The changes to use, from the value of ``CORTEX_HTTP``.

    Args:
        text: Names separated by commas: those with a minus are left out, others are used alone, with what they need.

    Raises:
        SpecError: A name is unknown.
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    unknown = {name.removeprefix("-") for name in names} - {*CHANGES, "stock"}
    if unknown:
        raise SpecError(f"CORTEX_HTTP names {', '.join(sorted(unknown))}; known are stock, {', '.join(CHANGES)}")
    if "stock" in names:
        return frozenset()
    removed = {name[1:] for name in names if name.startswith("-")}
    only = {name for name in names if not name.startswith("-")}
    only.update(*(_NEEDS.get(name, ()) for name in only))
    changes = (only or set(CHANGES)) - removed
    return frozenset(name for name in changes if _NEEDS.get(name, set()) <= changes)
