"""HTTP: from a socket to the WSGI application and back. waitress, made faster through its own seams.

Read ``connection`` first: one class, from the bytes of a request to the bytes of its response. It uses, in this order:

* ``connection_passing``: the connection goes to a worker that is less busy.
* ``request_parser``, ``header_lines``, ``request_body``: ordinary headers are read with tables, bodies arrive in large
  pieces.
* ``rejected_requests``: who answers 400, 413, 431 and 501.
* ``wsgi_task``: waitress's task, with what the application has to know of the request's way so far.
* ``response_headers``: headers of ordinary responses come from templates.

``server`` accepts connections (``accept_backoff``: not while descriptors are missing) and drains them. ``event_loop``
waits for sockets (``waiting_time``: for how long), ``leader_follower`` decides which thread runs the loop and which one
answers, ``joint_writes`` has the responses of one turn leave together.

``CORTEX_HTTP=stock`` turns every fast path off. HTTP parsing is security code: a fast path decides only about requests
that it has understood completely, everything else goes to waitress's own code, and answers are compared with those of
stock waitress byte for byte (``tests/server/test_http.py``; docs/decisions/0016 and 0021).

May import: ``scheduling``, ``shared_state``, ``request_context``.
"""
