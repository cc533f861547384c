"""What requests and answers about accounts hold. https://spec.openapis.org/oas/v3.1.0"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from fhir_facade.api.v1.ids import FhirId
from fhir_facade.flows.accounts import LONGEST_PASSWORD
from fhir_facade.flows.mail import LONGEST_ADDRESS

Email = Annotated[str, Field(max_length=LONGEST_ADDRESS)]
Language = Literal["en", "de"]
Role = Literal["patient", "proxy", "practitioner", "staff", "admin"]
Password = Annotated[SecretStr, Field(max_length=LONGEST_PASSWORD * 4)]


class Person(BaseModel):
    """An account as it is shown. `fhirUser` is the person in the records; notices go to `email`, in `language`."""

    id: str
    username: str
    role: str
    fhirUser: str | None  # noqa: N815 - the word of SMART
    organization: str | None
    zone: str
    email: str | None
    language: str
    disabled: bool
    created_at: datetime


class Link(BaseModel):
    """Whoever opens `url` first, before `expires_at`, chooses the password."""

    url: str
    expires_at: datetime


class People(BaseModel):
    """By name. `next` is the `after` of the following request; null on the last page."""

    accounts: list[Person]
    next: str | None


class NewPerson(BaseModel):
    """`person` is the Patient, Practitioner or RelatedPerson to make with the account; else name the one there is."""

    model_config = ConfigDict(extra="forbid")
    username: str
    password: Password
    role: Role
    zone: str = "UTC"
    patient: FhirId | None = None
    practitioner: FhirId | None = None
    related_person: FhirId | None = None
    organization: FhirId | None = None
    person: dict[str, Any] | None = None
    email: Email | None = None
    language: Language = "en"


class SignUp(BaseModel):
    """A patient who makes an account for herself; `patient` is a FHIR Patient without id."""

    model_config = ConfigDict(extra="forbid")
    username: str
    password: Password
    zone: str = "UTC"
    patient: dict[str, Any]


class Changes(BaseModel):
    """What an administrator changes; a new password or disabling ends the account's sessions, and what apps were
    allowed. An empty `email` takes the address away."""

    model_config = ConfigDict(extra="forbid")
    zone: str | None = None
    email: Email | None = None
    language: Language | None = None
    password: Password | None = None
    disabled: bool | None = None


class OwnChanges(BaseModel):
    """What a person changes; a new password and another address for notices need the present password. A new password
    ends all other sessions, and what apps were allowed unless `keep_apps` says that they may stay."""

    model_config = ConfigDict(extra="forbid")
    zone: str | None = None
    email: Email | None = None
    language: Language | None = None
    password: Password | None = None
    current_password: Password | None = None
    keep_apps: bool = False


class SignOut(BaseModel):
    """What apps were allowed ends with the sessions, unless `keep_apps` says that it may stay; what holds only as
    long as a session ends with that."""

    model_config = ConfigDict(extra="forbid")
    keep_apps: bool = False


class SignedOut(BaseModel):
    """How much ended."""

    sessions: int
    permissions: int
