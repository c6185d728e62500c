"""Which request is worked on when.

``admission`` lets requests in and gives them a lane; read it first. ``batching`` predicts requests together that come
close together, ``deadlines`` answers those whose time is up.

May import: ``metrics``, ``shared_state``, ``request_context``, ``spec``.
"""
