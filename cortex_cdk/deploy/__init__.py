"""Deploys what a configuration says.

    read -> preflight -> plan -> recover -> execute -> wait

``deployer`` is that order; read it first. ``preflight`` holds the checks before anything is created, ``plan`` decides
(pure), ``assets`` and ``images`` bring what replicas need (``build_log`` follows a build), ``listener_rules`` allocates
priorities, ``splitters`` reads what a traffic splitter's stack is made from, ``apply`` carries out one stack's plan,
``wait_for_replicas`` waits until enough serve, ``recording`` keeps a record of each deployment in the history,
``roll_back`` deploys what such a record names. ``refresh`` and ``deletion`` are commands of their own.

May import: every other package of the library but ``client``.
"""
