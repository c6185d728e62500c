"""Errors of botocore: their codes, and what they mean in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cortex_cdk.aws.denials import denial_of
from cortex_cdk.errors import CloudError, CortexError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Found = TypeVar("Found")

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
INVALID = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "AuthFailure",
    }
)


def error_code(error: ClientError) -> str:
    """Return the service's code of an error, such as ``ValidationError``; empty without one."""
    return error.response.get("Error", {}).get("Code", "")


def error_message(error: ClientError) -> str:
    """Return the service's own text of an error."""
    return error.response.get("Error", {}).get("Message", "") or str(error)


def silent_endpoint(error: Exception) -> str | None:
    """Return the URL at which nobody answered; None for every other error."""
    from botocore import exceptions as botocore

    silence = botocore.EndpointConnectionError | botocore.ConnectTimeoutError | botocore.ConnectionClosedError
    return str(error.kwargs["endpoint_url"]) if isinstance(error, silence) else None


def if_allowed(read: Callable[[], Found], otherwise: Found) -> Found:
    """Return what is read, or something else where that cannot be read."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return read()
    except (ClientError, BotoCoreError):
        return otherwise


def explain(error: Exception, environment: str) -> CortexError | None:
    """Put an error of botocore into words.

    Args:
        error: Anything that was raised.
        environment: The environment's name, for the message.

    Returns:
        The error to show, or None where botocore did not raise ``error``.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(error, ClientError):
        return _explain_answer(error, environment)
    if isinstance(error, BotoCoreError):
        return _explain_client(error, environment)
    if isinstance(error, ResponseParserError):
        return CloudError(
            f"an answer of environment {environment!r} broke off, or is not one of AWS",
            hint="run the command again; if that does not help, check the endpoint URL (cortex env list) and proxies",
            details=[str(error).partition(" Further")[0]],
        )
    return None


def _explain_answer(error: ClientError, environment: str) -> CortexError:
    code, operation = error_code(error), error.operation_name
    sign_in = "sign in again (aws sso login, or new keys), or choose another environment with --env"
    if code in EXPIRED:
        return CloudError(f"the credentials of environment {environment!r} have expired", hint=sign_in)
    if code in INVALID:
        return CloudError(f"AWS does not accept the credentials of environment {environment!r} ({code})", hint=sign_in)
    denial = denial_of(error)
    if denial:
        return CloudError(
            f"{denial.sentence} (environment {environment!r})",
            hint=denial.hint,
            details=[error_message(error).partition(" Encoded authorization")[0], *denial.details],
        )
    return CloudError(f"{operation} failed: {error_message(error)}", details=[f"code: {code}"])


def _explain_client(error: Exception, environment: str) -> CortexError:
    from botocore import exceptions as botocore

    configure = f"cortex env configure {environment}"
    if isinstance(error, botocore.PartialCredentialsError):
        return CloudError(
            f"environment {environment!r} has half of its AWS credentials: {error}",
            hint=f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with: {configure} --profile NAME",
        )
    if isinstance(error, botocore.NoCredentialsError):
        return CloudError(
            f"environment {environment!r} has no AWS credentials",
            hint=f"run aws configure, set AWS_PROFILE, or name a profile with: {configure} --profile NAME",
        )
    if isinstance(error, botocore.ProfileNotFound):
        return CloudError(f"environment {environment!r}: {error}", hint=f"choose one with: {configure} --profile NAME")
    if silent_endpoint(error):
        return CloudError(
            f"environment {environment!r} cannot be reached: {error}",
            hint="check the network, the region and the endpoint URL (cortex env list)",
        )
    if isinstance(
        error, botocore.TokenRetrievalError | botocore.SSOTokenLoadError | botocore.UnauthorizedSSOTokenError
    ):
        return CloudError(f"the sign-in of environment {environment!r} has ended", hint="run aws sso login")
    return CloudError(f"environment {environment!r}: {error}")
