"""What reaches a person outside the portal, from the real application to a real mail server."""

import pytest

from fhir_facade.app import running
from fhir_facade.errors import BadRequest
from fhir_facade.flows.accounts import NewAccount, add_account
from fhir_facade.flows.mail import deliver_due
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.mail import DueMail
from tests.facade import embedded_facade
from tests.mail_server import mail_server

PASSWORD = "correct horse battery"
SENDER = "notices@health.example"


async def test_a_patient_reads_in_a_mail_that_the_record_was_opened_and_nothing_of_what_is_in_it(tmp_path):
    async with mail_server() as server, embedded_facade(tmp_path, smtp_url=server.url, mail_from=SENDER) as facade:
        service = await facade.client()
        for resource in (
            {"resourceType": "Patient", "id": "anna", "name": [{"text": "Anna Secret"}]},
            {"resourceType": "Practitioner", "id": "doctor", "name": [{"text": "Dr. Who"}]},
        ):
            await service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
        patient = NewAccount("anna", "patient", PASSWORD, patient_id="anna", email="anna@home.example", language="de")
        await add_account(facade.ports, patient)
        await add_account(facade.ports, NewAccount("doctor", "practitioner", PASSWORD, practitioner_id="doctor"))
        doctor = await facade.client("user/*.cruds", username="doctor")

        opened = await doctor.post(
            "/api/v1/patients/anna/emergency-access", json={"reason": "unconscious after a fall"}
        )

        assert opened.status_code == 201, opened.text
        assert await deliver_due(facade.ports) == 1
        (message,) = server.messages
        assert message["To"] == "anna@home.example"
        assert message["Subject"] == "Ihre Akte wurde in einem Notfall geöffnet"
        said = message.get_content()
        assert f"{facade.settings.base_url}/access-log" in said
        assert not [word for word in ("Secret", "Who", "unconscious", "Anna") if word in said]
        lines = await facade.ports.state.read(lambda tx: tx.find(AuditLine, ("action", "=", "notify")))
        assert [(line.outcome, line.detail, line.patient) for line in lines] == [("success", "emergency", "anna")]


async def test_a_facade_that_runs_delivers_by_itself(tmp_path):
    async with mail_server() as server, embedded_facade(tmp_path, smtp_url=server.url, mail_from=SENDER) as facade:
        row = DueMail(
            id=facade.ports.ids.new(),
            account_id="a1",
            kind="password",
            address="anna@home.example",
            language="en",
            zone="UTC",
            happened_at=facade.ports.clock.now(),
            due_at=facade.ports.clock.now(),
        )
        await facade.ports.state.append([row])
        async with running(facade.settings, facade.ports):
            await server.taken(1)
    assert [message["Subject"] for message in server.messages] == ["Your password was changed"]


async def test_settings_that_cannot_be_meant_are_refused_at_the_start(tmp_path):
    with pytest.raises(BadRequest, match="FHIR_FACADE_MAIL_FROM"):
        async with embedded_facade(tmp_path, smtp_url="smtp://mail.example"):
            pass
