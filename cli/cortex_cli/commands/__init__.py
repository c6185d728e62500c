"""The commands, one module each: a new command is a new file here.

The file's name is the command's, ``command`` the click command (or group). The first line of the docstring and the
constant ``SECTION`` are its place in ``cortex --help``, which imports no command. A command parses its options, calls
``cortex_cdk`` and prints the result; it imports what is slow to load inside of the function.

May import: every other module of ``cortex_cli`` but ``main``; ``cortex_cdk``.
"""
