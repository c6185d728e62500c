"""Python environments that stand for images.

``environments`` makes an environment, once for each image tag; ``pip_configuration`` reads where the user's pip gets
packages from.

May import: ``localcloud.containers``.
"""
