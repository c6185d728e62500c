"""The ``cortex`` command: parses flags, calls ``cortex_cdk``, renders what comes back. No logic lives here.

``main`` loads a command's module only when that command is called, so that ``cortex --help`` is quick.
"""
