r"""The commands, one module each: a new command is a new file here.

The file's name is the command's, ``command`` the click command (or group). The first line of the docstring and the
constant ``SECTION`` (see ``command_list``) are its place in ``cortex --help``, which imports no command. A command
parses its options, calls ``cortex_cdk`` and prints the result; it imports what is slow to load inside of the function.

The docstring of a command (or group, or subcommand) is its help, and ends with an example that can be typed as it is::

    \b
    Example:
      cortex why iris-classifier

``tests/unit/cli/test_help.py`` finds every command and tries its example on click's parser. With ``-o json`` a command
has its shape in ``docs/output/``, which says how.

May import: every other module of ``cortex_cli`` but ``main``; ``cortex_cdk``.
"""
