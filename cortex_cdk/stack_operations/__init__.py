"""One CloudFormation operation, from its change set to its end.

``operation`` runs it; read it first. ``change_set`` says what would change, ``events`` what happens and what failed
first, ``stack`` what CloudFormation knows, ``recovery`` brings a stack into a state from which it can go on,
``progress`` tells whoever watches.

May import: ``replicas``, ``aws`` and what is below.
"""
