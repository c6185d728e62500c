"""The ``cortex`` command: parses options, calls ``cortex_cdk``, prints the results. No logic lives here.

``main`` is the entry point; read it first. ``commands`` has one module for each command, which ``command_list`` finds.
``options`` are those that commands share, ``messages`` writes errors and warnings, ``output`` tables and JSON,
``progress`` what happens during a deployment.

May import: ``cortex_cdk``, and ``cortex_serving.contract``.
"""
