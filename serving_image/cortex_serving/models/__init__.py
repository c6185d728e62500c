"""Many models in one process (``predictor.model_path`` and ``predictor.models``, cortex.md 2.3).

``stores`` list and fetch files (project, S3); ``catalog`` tells which models and versions exist; ``cache`` keeps the
loaded ones, with LRU eviction; ``library`` puts them together and follows changes; ``python``, ``onnx`` and
``tensorflow`` are the clients that predictors are handed.
"""
