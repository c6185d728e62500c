"""Projects as people wrote them for the original Cortex, version by version, deployed and asked.

``projects/`` has a folder for each: ``cortex.yaml`` as that version knew it, the predictor, and ``requests.json`` with
requests and their answers. ``tensorflow/`` has those that need TensorFlow (``make test-tensorflow``).
"""
