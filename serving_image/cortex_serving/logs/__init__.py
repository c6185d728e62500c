"""One pipeline for everything that anybody logs.

``lines`` makes JSON lines; in workers, ``capture`` turns ``logging`` and ``print`` into lines and writes them up a
pipe; in the supervisor, ``pipeline`` writes them to standard output and ``cloudwatch`` ships them.
"""
