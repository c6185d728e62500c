"""AWS Identity and Access Management: who may do what.

``authorization`` decides about each call before any back end sees the call; read this module first. ``callers`` finds
the principal and its policies by the access key, ``api_call`` the operation in the request, ``s3_access`` and
``resource_arns`` the actions and resources that the operation means. ``decision`` is IAM's logic, pure, with
``conditions`` and ``patterns``. ``sessions`` has the credentials of tasks, ``developer`` the name of whoever
uses the local cloud, ``resources`` the resource types.
"""
