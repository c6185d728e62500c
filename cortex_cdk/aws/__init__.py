"""The AWS API, as the rest of the library sees it.

``cloud`` makes clients and puts botocore's errors into words; read it first. ``ecs_services`` and ``certificates`` read
one thing each, ``console_links`` names pages of the AWS console, ``polling`` says how often a busy service is asked.

May import: ``errors``, ``names``, ``home`` and ``localcloud`` (for the reason why the local cloud does not answer).
"""
