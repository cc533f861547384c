"""Asking the vendor on behalf of one connection: with a living token, within the Consent, in the person's zone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import msgspec

from fhir_facade.errors import (
    AccessTokenRefused,
    Gone,
    NotFound,
    NotLinked,
    ReconsentNeeded,
    VendorError,
    VendorRetired,
)
from fhir_facade.fhir.document import decimal_dumps, decimal_loads, equal_values
from fhir_facade.flows.wearables.acting import SYNC
from fhir_facade.flows.wearables.records import consented_scopes, device, transaction
from fhir_facade.flows.wearables.tokens import access_token
from fhir_facade.interactions.dispatch import dispatch
from fhir_facade.ports import DeviceVendor, Ports, VendorSettings
from fhir_facade.rows.connections import Connection, SyncRun
from fhir_facade.values import FhirRequest, Interaction, StoredResource

T = TypeVar("T")

FINAL: Final[Mapping[type[VendorError], str]] = {
    ReconsentNeeded: "reconsent-needed",
    NotLinked: "not-linked",
    VendorRetired: "retired",
}
"""Errors after which only the person, or we, can help: the state of the connection that says so."""

_NO_CONSENT = "There is no active consent to read this account; connect again."


class Reader:
    """One sync of one connection: the connection as it is now, and the run that collects what was written."""

    def __init__(self, ports: Ports, connection: Connection) -> None:
        self.ports = ports
        self.connection = connection
        self.run = SyncRun(connection=connection.id, started_at=ports.clock.now())

    @property
    def vendor(self) -> DeviceVendor:
        vendor = self.ports.vendors.get(self.connection.vendor)
        if vendor is None:
            raise VendorRetired(f"The vendor {self.connection.vendor} is not set up here any more.")
        return vendor

    async def ask(self, question: Callable[[str], Awaitable[T]]) -> T:
        """The answer to a question that takes an access token; a refused token is refreshed once."""
        token = await access_token(self.ports, self.connection)
        try:
            return await question(token)
        except AccessTokenRefused:
            return await question(await access_token(self.ports, self.connection, refused=token))


async def permitted_scopes(reader: Reader) -> frozenset[str]:
    """What was granted and is consented to now. ReconsentNeeded when there is no active Consent."""
    connection = reader.connection
    stored = await _read(reader.ports, "Consent", connection.consent or "none")
    permitted = frozenset[str]()
    if stored is not None:
        permitted = consented_scopes(decimal_loads(stored.body), reader.ports.clock.now())
    if not permitted:
        raise ReconsentNeeded(_NO_CONSENT)
    return permitted & frozenset(connection.scopes)


async def refresh_settings(reader: Reader) -> None:
    """Learn the current zone and devices; what cannot be learned stays as it was."""
    try:
        settings = await reader.ask(lambda token: reader.vendor.settings(token))
    except tuple(FINAL):
        raise
    except VendorError:
        return
    if settings.zone is not None and settings.zone != reader.connection.zone:
        where = [("id", "=", reader.connection.id)]
        await reader.ports.state.write(lambda tx: tx.change(Connection, where, zone=settings.zone))
        reader.connection = msgspec.structs.replace(reader.connection, zone=settings.zone)
    await _keep_device(reader, settings)


async def _keep_device(reader: Reader, settings: VendorSettings) -> None:
    wanted = device(reader.connection, settings, reader.vendor.title)
    stored = await _read(reader.ports, "Device", wanted["id"])
    if stored is None or not equal_values(stored.body, decimal_dumps(wanted)):
        await dispatch(reader.ports, SYNC, transaction([wanted]))


async def _read(ports: Ports, type_name: str, resource_id: str) -> StoredResource | None:
    try:
        return (await dispatch(ports, SYNC, FhirRequest(Interaction.READ, type_name, resource_id))).resource
    except (NotFound, Gone):
        return None
