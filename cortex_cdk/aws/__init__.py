"""The AWS API, as the rest of the library sees it.

``cloud`` makes sessions and clients; read it first. ``errors`` puts botocore's errors into words. ``ecs_services`` and
``certificates`` read one thing each, ``console_links`` names pages of the AWS console, ``polling`` says how often a
busy service is asked.

May import: ``errors``, ``names``.
"""
