"""Many models in one process (``predictor.model_path`` and ``predictor.models``, cortex.md 2.3).

``library`` finds models, loads them and follows their changes; read it first. It stands on ``stores``, which list and
fetch files (project, S3), on ``catalog``, which tells models and versions from files, on ``requested_model``, which
finds the one that a request names, and on ``cache``, which keeps loaded models and evicts the least recently used.
``python``, ``onnx`` and ``tensorflow`` have the clients that predictors get from their types.

May import: ``metrics``, ``spec``, ``contract``, ``errors``.
"""
