"""Every error the facade raises, as one tree; each class carries its HTTP status and FHIR issue code.

FacadeError
├── BadRequest              400  malformed or not understood
│   ├── InvalidResource     422  breaks the schema, a binding or an invariant (carries issues)
│   ├── DanglingReference   400  names a local resource that is not there, or not yours
│   ├── UnknownParameter    400  search parameter or modifier that R4 does not define
│   ├── NotScorable         422  no score is defined for this person (carries `reason`)
│   └── UnsupportedFormat   415 / NotAcceptable 406
├── Unauthenticated         401
├── Forbidden               403  the token's scope does not allow it
│   └── Withdrawn                what allowed it was taken back meanwhile
├── NotFound                404  absent, or not yours: the same answer
├── Gone                    410  deleted, or an expired page
├── MethodNotAllowed        405
├── Conflict                409  racing writers, integrity
│   └── AlreadyLinked            a vendor account or a record that is connected otherwise (carries `reason`)
├── PreconditionFailed      412  If-Match or a condition with several matches
├── PreconditionRequired    428  a change that has to say which version it means
├── TooLarge                413
├── TooManyRequests         429
├── NotSupported            501
└── Unavailable             503  a dependency is down
    ├── Busy                503  somebody else holds a lock for too long
    ├── UpstreamError       502  a dependency answered nonsense
    │   └── MailRefused          a mail server will never take this message
    └── VendorError         502  a wearable vendor refused or failed
        ├── ReconsentNeeded      its tokens are dead: the person must connect again
        ├── MissingScope         the person did not grant this data type
        ├── NotLinked            the vendor account has no health profile
        ├── VendorRetired        the vendor switched this interface off (HTTP 410)
        └── VendorThrottled      carries `retry_after_s`

https://hl7.org/fhir/R4/http.html#Status-Codes, https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Issue:
    """One `OperationOutcome.issue`: `code` is of issue-type, `expression` a FHIRPath-like path."""

    code: str
    diagnostics: str
    expression: str | None = None
    severity: str = "error"


class FacadeError(Exception):
    """Something a caller can be told about; `str(error)` says what happened and what to do next.

    `recorded`: the audit has its line already. `about`: the patients it concerns, for that line only.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(self, diagnostics: str, *, expression: str | None = None, issues: Sequence[Issue] = ()) -> None:
        super().__init__(diagnostics)
        self.issues: tuple[Issue, ...] = tuple(issues) or (Issue(self.code, diagnostics, expression),)
        self.recorded = False
        self.about: Set[str] = frozenset()

    def concerning(self, patients: Set[str]) -> Self:
        """To be raised at once: an error that whoever raises it has given a name to keeps itself, and with it the
        request, until the garbage collector comes."""
        self.about = patients
        return self


class Defect(FacadeError):
    """Something is wrong here, not with what was asked; the trace is in the log under the request id."""

    def __init__(self, request_id: str) -> None:
        text = f"something went wrong here; nothing was half-written. Report it with the request id {request_id}"
        super().__init__(text, issues=(Issue(self.code, text, severity="fatal"),))


class BadRequest(FacadeError):
    status = 400
    code = "invalid"


class InvalidResource(BadRequest):
    """The resource breaks the schema, a required binding, a reference rule or an invariant."""

    status = 422
    code = "invalid"


class DanglingReference(BadRequest):
    """A reference to a local resource that does not exist; foreign ones answer the same."""

    code = "processing"


class UnknownParameter(BadRequest):
    """A search parameter, modifier or prefix that this type does not have."""

    code = "not-supported"


class NotScorable(BadRequest):
    """No score is defined for this person; `reason` is a word for programs, e.g. `under-age`."""

    status = 422
    code = "business-rule"

    def __init__(self, diagnostics: str, *, reason: str, expression: str | None = None) -> None:
        super().__init__(diagnostics, expression=expression)
        self.reason = reason


class UnsupportedFormat(BadRequest):
    status = 415
    code = "not-supported"


class NotAcceptable(BadRequest):
    status = 406
    code = "not-supported"


class Unauthenticated(FacadeError):
    status = 401
    code = "login"


class InvalidToken(Unauthenticated):
    """A token was sent and is not good (any more). https://www.rfc-editor.org/rfc/rfc6750#section-3.1"""


class Forbidden(FacadeError):
    status = 403
    code = "forbidden"


class Withdrawn(Forbidden):
    """What allowed it when it was begun was taken back before it ended."""


class NotFound(FacadeError):
    status = 404
    code = "not-found"


class Gone(FacadeError):
    """The resource was deleted, or the page link is no longer valid."""

    status = 410
    code = "deleted"


class MethodNotAllowed(FacadeError):
    """`methods` are those that the address takes, where it takes some."""

    status = 405
    code = "not-supported"

    def __init__(self, diagnostics: str, *, methods: Sequence[str] = ()) -> None:
        super().__init__(diagnostics)
        self.methods = tuple(methods)


class Conflict(FacadeError):
    """Another writer was faster, or the write would break a reference."""

    status = 409
    code = "conflict"


class AlreadyLinked(Conflict):
    """A vendor account is linked to another person (`linked-elsewhere`), or a record to another account of the vendor
    (`other-account`); `reason` is that word."""

    def __init__(self, diagnostics: str, *, reason: str) -> None:
        super().__init__(diagnostics)
        self.reason = reason


class PreconditionFailed(FacadeError):
    """If-Match names another version, or a condition has several matches."""

    status = 412
    code = "conflict"


class PreconditionRequired(FacadeError):
    """The change needs If-Match, so that two people do not undo each other's work."""

    status = 428
    code = "required"


class TooLarge(FacadeError):
    status = 413
    code = "too-long"


class TooManyRequests(FacadeError):
    """Carries the seconds to wait in `retry_after_s`."""

    status = 429
    code = "throttled"

    def __init__(self, diagnostics: str, *, retry_after_s: int = 1) -> None:
        super().__init__(diagnostics)
        self.retry_after_s = retry_after_s


class NotSupported(FacadeError):
    status = 501
    code = "not-supported"


class Unavailable(FacadeError):
    """A dependency does not answer; nothing was half-written."""

    status = 503
    code = "transient"


class TimedOut(Unavailable):
    """What is asked for takes longer than anybody is kept waiting; nothing was half-written."""

    code = "timeout"


class Busy(Unavailable):
    """Somebody else holds the same lock for so long that waiting ended; what they do may still go on."""


class UpstreamError(Unavailable):
    """A dependency answered something that cannot be used."""

    status = 502
    code = "exception"


class MailRefused(UpstreamError):
    """A mail server refused the message for good; sending it again would change nothing."""


class VendorError(UpstreamError):
    """A wearable vendor refused, failed, or answered what cannot be read; nothing of that page was stored."""


class AccessTokenRefused(VendorError):
    """The vendor does not accept the access token (any more): refresh it once and ask again."""


class ReconsentNeeded(VendorError):
    """The vendor no longer accepts our tokens: the person has to connect again."""


class MissingScope(VendorError):
    """The person did not grant what this data type needs; other types go on."""


class NotLinked(VendorError):
    """The vendor account exists but has no health profile."""


class VendorRetired(VendorError):
    """The vendor switched this interface off for good."""


class VendorThrottled(VendorError):
    """The vendor asks us to slow down; `retry_after_s` seconds."""

    def __init__(self, diagnostics: str, *, retry_after_s: float) -> None:
        super().__init__(diagnostics)
        self.retry_after_s = retry_after_s
