"""Which request is worked on when, and which is refused.

``admission`` lets requests in and hands them to threads; read it first. ``thread_pool`` is a queue with its threads,
``batching`` predicts requests together that come close together, ``deadlines`` answers those whose time is up (a batch
begins early for a deadline that comes near, and leaves out what is too late: ``batching``).

May import: ``metrics``, ``shared_state``, ``request_context``, ``spec``.
"""
