"""Clusters: made, changed, removed.

``change`` plans and executes; read it first. ``checks`` finds what is wrong in the account before anything is created,
``allowed_changes`` decides what a running cluster may change. ``running`` reads a cluster that can be deployed to,
``ensure`` makes the one that an environment makes by itself. ``usage`` says which APIs run on which group,
``listener_move`` takes rules to another listener, ``removal`` deletes everything in order.

May import: ``synthesis``, ``stack_operations``, ``aws`` and what is below.
"""
