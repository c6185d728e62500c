"""The AWS API, as the rest of the library sees it.

``cloud`` makes sessions and clients; read it first. ``errors`` puts botocore's errors into words, ``denials``
those of IAM; ``permissions`` has what an account must allow. ``ecs_services`` and
``certificates`` read one thing each, ``console_links`` names pages of the AWS console, ``polling`` says how often a
busy service is asked.

May import: ``errors``, ``names``.
"""
