"""The user's predictor: found, checked, built, called.

``predictor`` (read it first) checks and builds the class, ``loading`` gets it out of its file, ``invoke`` calls
``predict``.

May import: ``scheduling``, ``models``, ``metrics``, ``spec``.
"""
