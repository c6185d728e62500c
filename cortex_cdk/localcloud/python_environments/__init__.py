"""Python environments that stand for images.

``environments`` makes them, once for each image tag, and says whether one is needed at all.

May import: ``localcloud.containers``.
"""
