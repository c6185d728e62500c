"""Checks that run before a deployment creates or changes anything. All findings are shown at once.

``checks`` has the list; read it first. A check is a function that takes a ``Deployment``, reads, changes nothing, and
yields ``Finding`` objects:

* ``names``: an API stays an API, a splitter a splitter.
* ``capacity``: the cluster's instances can hold the replicas.
* ``images``: the user's own images exist.
* ``models``: the models on S3 exist, with the files that the predictor's type needs.
* ``endpoints``: nothing else answers there.
* ``load_balancer``: its quotas allow one more.
* ``splitter_members``: the APIs of a traffic splitter exist.
* ``operations``: no other operation changes the stacks.

To add one: write the function, and put it into ``CHECKS``.

May import: the rest of ``deploy`` but ``apply`` and ``deployer``.
"""
