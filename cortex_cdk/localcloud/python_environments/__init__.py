"""Python environments that stand for images.

``environments`` makes an environment, once for each image tag, and tells whether a project needs one at all.

May import: ``localcloud.containers``.
"""
