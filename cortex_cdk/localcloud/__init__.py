"""The local cloud: answers the AWS API on 127.0.0.1, and does on this machine what the calls ask for.

* ``daemon``: the process, with the API server, the reconciler and the stored state. Read ``daemon.daemon`` first.
* ``services``: one package for each AWS service, named as AWS names the service. A resource type is added here.
* ``cloudformation``: the stack engine.
* ``containers``: containers as processes. ``python_environments``: images as virtual environments.
* ``launcher``, ``endpoint``, ``settings``: start, find and configure the daemon. They need neither moto nor boto3.

May import: ``errors``, ``home``, ``capacity.instance_types``; nothing of ``config``, ``deploy`` or the stacks. The
local cloud acts on properties of resources only, and never reads ``cortex.yaml``.
"""
