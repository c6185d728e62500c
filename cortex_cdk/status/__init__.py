"""What is deployed and how it goes, for ``cortex get`` and ``cortex cluster info``.

``decide_status`` decides whether an API is ``live``, ``updating`` or in ``error``; read it first. ``read_status``
reads what the rules need. ``report`` adds the rest of ``cortex get``: ``alarms``, ``metrics``. ``cluster_info`` does
so for a cluster; ``deployed_names`` is the quick way to names alone.

``causes`` has the rules that find out what is wrong, for ``cortex get`` and ``cortex why``. ``evidence`` is what they
look at, ``read_evidence`` and ``read_signs`` read that, ``diagnosis`` puts the answer of ``cortex why`` together.

May import: ``clusters``, ``replicas``, ``stack_operations``, ``aws`` and what is below.
"""
