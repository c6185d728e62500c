"""File formats that the serving program and the deployer read with the same code, so that both read a file alike.

``yaml_document`` reads ``cortex.yaml``, with the scalars of ``yaml_scalars``; read it first. ``env_file`` reads
``.env``, ``predictor_variables`` the variables of an entry, ``quantities`` parses durations and sizes, ``problem``
words a mistake in a file.

May import: ``contract``, ``errors``.
"""
