"""Amazon EC2 Auto Scaling: groups whose instances start and go.

Read ``groups`` first: moto's groups and instances with starting times. ``launch_template`` checks templates,
``launch_faults`` lets launches fail, ``replacement`` carries instance refreshes on as ``instance_refresh`` decides,
``activities`` and ``responses`` tell what groups did, and ``resources`` has the resource types.

May import: ``cloudformation.resource``.
"""
