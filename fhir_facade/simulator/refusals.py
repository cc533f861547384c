"""Errors of Google APIs in their JSON form: https://cloud.google.com/apis/design/errors.

A refusal is raised where it is found and answered by the application in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    410: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class Refusal(Exception):
    """A request of the Health API that is refused; `status` defaults to the canonical name of the code."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        status: str | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = dict(headers or {})
        details: dict[str, Any] = {"@type": _ERROR_INFO, "reason": reason, "domain": "googleapis.com"}
        if metadata:
            details["metadata"] = dict(metadata)
        self.body: dict[str, Any] = {"code": code, "message": message, "status": status or _STATUS[code]}
        if reason:
            self.body["details"] = [details]


class OAuthRefusal(Exception):
    """A request of the token or revocation endpoint that is refused: RFC 6749 §5.2."""

    def __init__(self, error: str, description: str, *, code: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.body = {"error": error, "error_description": description}


def unauthenticated(reason: str = "ACCESS_TOKEN_INVALID") -> Refusal:
    return Refusal(401, "Request had invalid authentication credentials.", reason=reason)


def scope_insufficient() -> Refusal:
    return Refusal(403, "Request had insufficient authentication scopes.", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")


def not_linked() -> Refusal:
    return Refusal(
        400,
        "The account is not linked to Google Health.",
        reason="ACCOUNT_NOT_LINKED",
        status="FAILED_PRECONDITION",
        metadata={"redirect_uri": "https://fitbit.google.com/auth/signup"},
    )


def throttled(retry_after: int | str | None) -> Refusal:
    message = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'."
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Refusal(429, message, reason="RATE_LIMIT_EXCEEDED", headers=headers)
