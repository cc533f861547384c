"""The only reader of the environment: every setting has the prefix FHIR_FACADE_, a type, a default and a sentence."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PREFIX = "FHIR_FACADE_"
OF_OTHERS = frozenset({"FHIR_FACADE_HAPI_DATABASE_URL", "FHIR_FACADE_HAPI_CACHE", "FHIR_FACADE_LISTEN"})
"""Variables that `hapi/start` and docker-compose.yml read."""
CLOSE = 0.75
"""How alike two names are at least, the common prefix included: https://docs.python.org/3/library/difflib.html"""
MOST_WORKERS = 4
"""By default: SQLite has one writer, and each process takes memory of its own."""
_METRICS_TOKEN = re.compile(r"[!-~]{32,}")


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that is to have these settings and no others of ours; names without the prefix."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | {PREFIX + name: value for name, value in settings.items()}


def misnamed(environment: Mapping[str, str] = os.environ) -> str:
    """One sentence about variables that look like settings and are none, with the nearest name and never a value; empty
    when there are none."""
    named = sorted(name for name in environment if name.upper().startswith(PREFIX))
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    wrong = [name for name in named if name.upper() not in known and name not in OF_OTHERS]
    if not wrong:
        return ""
    told = ", ".join(f"{name}{_nearest(name.upper(), known)}" for name in wrong)
    return f"no setting has this name, so it does nothing: {told}; `fhir-facade settings` lists all"


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=CLOSE)
    return f" (is it {near[0]}?)" if near else ""


class Settings(BaseSettings):
    """Read once at start; `docs/settings.md` is generated from this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    store: Literal["embedded", "hapi"] = Field(
        "embedded", description="Where FHIR resources live: one SQLite file, or a HAPI server."
    )
    data_dir: Path = Field(Path("data"), description="Folder of the SQLite file and of the keys.")
    database_url: str = Field(
        "",
        description="Database of the facade's own tables: empty for SQLite in the data folder, or "
        "postgresql://user:password@host/name (needed on several machines).",
    )
    hapi_url: str = Field(
        "http://127.0.0.1:8080/fhir", description="Base URL of the HAPI server, reachable by the facade only."
    )
    hapi_connections: int = Field(64, ge=1, le=512, description="Connections kept open to HAPI.")
    public_url: str = Field(
        "", description="How people reach the facade, e.g. https://health.example.org; empty: http://host:port."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    keys_file: Path | None = Field(
        None,
        description="File of the numbered keys; empty: keys.json in the data folder, made at the first start. "
        "Several processes share one file.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that answer requests; 0: one per processor, over HAPI one per two, at most 4 (1 beside Linux).",
    )
    trusted_proxies: str = Field(
        "", description="Comma-separated addresses or networks whose X-Forwarded-For is believed."
    )
    max_connections: int = Field(
        4096, ge=16, description="Most connections that all processes together hold open; each takes its share."
    )
    max_connections_per_address: int = Field(
        512,
        ge=16,
        description="Most of them from one address (an IPv6 network /64 is one), which may be that of a whole clinic; "
        "trusted proxies may have all.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token with which /metrics is read from elsewhere, e.g. by Prometheus; 32 characters or more. Empty: "
        "it is for programs on this machine alone, that come without a proxy.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    audit_required: bool = Field(True, description="Refuse to answer when the audit line cannot be written.")
    audit_kept_days: int = Field(2192, ge=1, description="Days for which audit lines are kept; 2192 are six years.")
    audit_copy: bool = Field(
        False,
        description="Over HAPI: copy the audit into it as AuditEvents, in the background; the rows stay the record.",
    )
    referential_integrity_on_write: bool = Field(
        True, description="Refuse references to resources that are not there. Over HAPI its own setting decides."
    )
    referential_integrity_on_delete: bool = Field(
        True, description="Refuse to delete what something refers to. Over HAPI its own setting decides."
    )
    self_registration: bool = Field(
        False, description="Let patients make an account and their Patient at /api/v1/accounts/register."
    )
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Mail server for notices about accounts: smtps://user:password@host:465, or smtp://host:587 with STARTTLS "
        "(?tls=off for a relay in the same private network); empty sends no mail.",
    )
    mail_from: str = Field("", description="Address that notices come from, e.g. notices@health.example.org.")
    total_always: bool = Field(
        False, description="Put Bundle.total on every search page, not only when it is asked for or known."
    )

    conditional_delete_many: bool = Field(
        False, description="Let a conditional delete remove everything that matches, instead of one resource at most."
    )

    max_body_bytes: int = Field(
        5 * 1024 * 1024,
        ge=1024,
        description="Largest single resource accepted, in bytes; also that of a file to import.",
    )
    max_transaction_bytes: int = Field(32 * 1024 * 1024, ge=1024, description="Largest transaction Bundle, in bytes.")
    max_batch_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Largest batch Bundle, and Bundle of a file to import, in bytes."
    )
    max_page_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1024,
        description="Largest page of a search, a history or a record, in bytes of its resources; the next link goes on.",
    )
    max_search_seconds: int = Field(
        30,
        ge=1,
        description="Longest that one page of a search may take, in seconds; then 503 with the code timeout.",
    )
    max_transaction_entries: int = Field(5000, ge=1, description="Most entries of a transaction Bundle.")
    max_batch_entries: int = Field(20000, ge=1, description="Most entries of a batch Bundle.")

    google_authorize_url: str = Field(
        "https://accounts.google.com/o/oauth2/v2/auth", description="Google's authorization endpoint."
    )
    google_token_url: str = Field("https://oauth2.googleapis.com/token", description="Google's token endpoint.")
    google_revoke_url: str = Field("https://oauth2.googleapis.com/revoke", description="Google's revocation endpoint.")
    google_health_api_base: str = Field(
        "https://health.googleapis.com", description="Google Health API; /v4/... is appended."
    )
    google_client_id: str = Field("", description="Client id at Google; empty switches the connection off.")
    google_client_secret: SecretStr = Field(SecretStr(""), description="Client secret at Google.")
    sync_lookback_days: int = Field(90, ge=1, le=730, description="How far a first sync reads back, in days.")

    @field_validator(
        "public_url",
        "hapi_url",
        "google_authorize_url",
        "google_token_url",
        "google_revoke_url",
        "google_health_api_base",
    )
    @classmethod
    def _an_address(cls, url: str, told: ValidationInfo) -> str:
        parts = urlsplit(url)
        if url == "" and told.field_name == "public_url":
            return url
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:  # a port may be no number
            raise ValueError("an address begins with http:// or https:// and names a host")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str) -> str:
        for part in filter(None, map(str.strip, text.split(","))):
            ip_network(part, strict=False)  # says what is wrong with it
        return text

    @field_validator("metrics_token")
    @classmethod
    def _hard_to_guess(cls, token: SecretStr) -> SecretStr:
        """Guesses at it are not slowed down, so it has to be too long for them."""
        if token.get_secret_value() and not _METRICS_TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("32 characters or more, without blanks; `openssl rand -hex 32` makes one")
        return token

    @property
    def data_file(self) -> Path:
        """The SQLite file: everything on the embedded store, the facade's own rows over HAPI without `database_url`."""
        return self.data_dir / "facade.sqlite"

    @property
    def rows_elsewhere(self) -> bool:
        """True when the facade's own rows are in PostgreSQL."""
        return self.store == "hapi" and bool(self.database_url)

    @property
    def keys_path(self) -> Path:
        return self.keys_file or self.data_dir / "keys.json"

    @property
    def worker_count(self) -> int:
        """Processes that answer requests. Without Linux the kernel does not spread connections over them; HAPI and its
        database need the other processors, and fewer processes commit for more callers at once."""
        if self.workers or sys.platform != "linux":
            return self.workers or 1
        processors = len(os.sched_getaffinity(0))
        return min(MOST_WORKERS, processors if self.store == "embedded" else max(1, processors // 2))

    @property
    def base_url(self) -> str:
        """The public origin without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def fhir_url(self) -> str:
        return f"{self.base_url}/fhir"

    @property
    def plain_loopback(self) -> bool:
        """True on http://localhost: cookies then drop Secure and the __Host- prefix."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "http" and parts.hostname in LOOPBACK
