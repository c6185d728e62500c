"""The user's predictor: found, checked, built, called.

``predictor`` (read it first) checks and builds the class by the rules of its type. ``types`` has a module for each
type, and ``predictor_type`` says what one consists of. ``loading`` gets the class out of its file, ``loaded_by_path``
stands for a file without a name to import, ``invoke`` calls ``predict``.

May import: ``scheduling``, ``models``, ``metrics``, ``spec``.
"""
