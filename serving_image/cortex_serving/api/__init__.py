"""The WSGI application: Falcon in front of one predictor.

``app`` answers requests; read it first. ``openapi`` describes the API, for GET; ``error_responses`` turns exceptions
into responses.

May import: ``predictors``, ``scheduling``, ``payloads``, ``results``, ``metrics``, ``logs``.
"""
