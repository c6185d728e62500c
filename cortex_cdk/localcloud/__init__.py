"""The local cloud: the AWS API on 127.0.0.1, and behind it what makes the API true.

* ``daemon``: the process; the API server, the reconciler, stored state. Read ``daemon.daemon`` first.
* ``services``: one package for each AWS service, named as AWS names it.
* ``cloudformation``: the stack engine.
* ``containers``: containers as processes; ``python_environments``: images as virtual environments.
* ``launcher``, ``endpoint``, ``settings``: start it, find it, configure it. These three need neither moto nor boto3.

May import: ``errors``, ``home``, ``capacity.instance_types``; nothing of ``config``, ``deploy`` or the stacks. It
acts on properties of resources only, and never reads ``cortex.yaml``.
"""
