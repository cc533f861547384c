"""The token, introspection and revocation endpoints: strict reading, key fetching, then one transaction.

https://www.rfc-editor.org/rfc/rfc6749#section-3.2, RFC 7662, RFC 7009
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fhir_facade.flows.launch.assertion import claimed_client, claimed_key
from fhir_facade.flows.launch.client_keys import ClientKeys, fetch_key_set, parse_key_set
from fhir_facade.flows.launch.grants import BackendGrant, CodeGrant, RequiredChallenge, RotatingRefresh, SmartParameters
from fhir_facade.flows.launch.guesses import guess, judge, too_early
from fhir_facade.flows.launch.identity import SmartIdentity
from fhir_facade.flows.launch.keys import current_signer
from fhir_facade.flows.launch.request import (
    LaunchRequest,
    MalformedRequest,
    Pairs,
    credential_count,
    credentials,
    single_parameters,
)
from fhir_facade.flows.launch.server import Answer, LaunchServer, Moment
from fhir_facade.flows.launch.sign_in import Caller, SignIn
from fhir_facade.flows.launch.standing import Introspection, Revocation
from fhir_facade.interactions.audit_refusals import record_refusal, refuse_app
from fhir_facade.ports import StateTransaction
from fhir_facade.rows import Append
from fhir_facade.rows.audit import AuditLine
from fhir_facade.rows.oauth import Client, Grant

SIGNING_GRANTS: Final = frozenset({"authorization_code", "refresh_token"})


@dataclass(frozen=True, slots=True)
class _Door:
    """An endpoint, and what the audit calls it where nothing else says what was asked for."""

    name: str
    answer: Callable[[LaunchServer, LaunchRequest], Answer]


_TOKEN: Final = _Door("token", LaunchServer.create_token_response)


def build_server(tx: StateTransaction, moment: Moment) -> LaunchServer:
    """The authorization server on the rows of one transaction."""
    server = LaunchServer(tx, moment)
    identity = SmartIdentity(server)
    server.register_grant(CodeGrant, [RequiredChallenge(), SmartParameters(), identity])
    server.register_grant(RotatingRefresh, [identity])
    server.register_grant(BackendGrant)
    server.register_endpoint(Introspection)
    server.register_endpoint(Revocation)
    return server


async def token_endpoint(sign_in: SignIn, pairs: Pairs, authorization: str | None, caller: Caller) -> Answer:
    """Answer a token request; errors are answers, whatever was sent."""
    return await _answer(sign_in, pairs, authorization, caller, _TOKEN)


async def introspection_endpoint(sign_in: SignIn, pairs: Pairs, authorization: str | None, caller: Caller) -> Answer:
    """Tell an authenticated client, or the bearer of an access token, what a token is worth."""
    return await _answer(sign_in, pairs, authorization, caller, _named(Introspection.ENDPOINT_NAME))


async def revocation_endpoint(sign_in: SignIn, pairs: Pairs, authorization: str | None, caller: Caller) -> Answer:
    """End a token and everything of the same grant, for the client it was given to."""
    return await _answer(sign_in, pairs, authorization, caller, _named(Revocation.ENDPOINT_NAME))


def _named(name: str) -> _Door:
    return _Door(name, lambda server, request: server.create_endpoint_response(name, request))


async def _answer(sign_in: SignIn, pairs: Pairs, authorization: str | None, caller: Caller, door: _Door) -> Answer:
    try:
        parameters = single_parameters(pairs)
        header = credentials(authorization)
        if credential_count(parameters, header) > 1:
            raise MalformedRequest("Use one way of client authentication, not several.")
    except MalformedRequest as error:
        return await _malformed(sign_in, caller, str(error))
    moment, guessed = await _gather(sign_in, parameters), guess(parameters, header, caller)

    def work(tx: StateTransaction) -> tuple[Answer, AuditLine | None]:
        server, request = build_server(tx, moment), LaunchRequest("POST", parameters, header)
        early = too_early(tx, guessed, moment.now) if guessed else None
        answer = early or door.answer(server, request)
        if guessed and not early:
            judge(tx, guessed, answer, moment.now)
        line = _audit(server, request, answer, caller, door.name)
        if _changed_nothing(server, request, answer):
            return answer, line
        tx.apply(Append(line))
        return answer, None

    answer, told_apart = await sign_in.ports.state.write(work)
    if told_apart is not None:
        await record_refusal(sign_in.ports, told_apart)
    return answer


def _changed_nothing(server: LaunchServer, request: LaunchRequest, answer: Answer) -> bool:
    """A refusal, or a public client that gave back what is no token: anybody can ask for that as often as they like."""
    if server.issued or server.ended:
        return False
    return answer.status != 200 or (request.client is not None and request.client.row.kind == "public")


async def _gather(sign_in: SignIn, parameters: Mapping[str, str]) -> Moment:
    """All that is slow or asks a network."""
    ports = sign_in.ports
    signer = await current_signer(ports) if parameters.get("grant_type") in SIGNING_GRANTS else None
    keys = await _keys(sign_in, parameters["client_assertion"]) if "client_assertion" in parameters else ClientKeys()
    return Moment(sign_in.issuer, ports.ids, ports.clock.now(), keys, signer)


async def _keys(sign_in: SignIn, assertion: str) -> ClientKeys:
    client_id, kid = claimed_client(assertion), claimed_key(assertion)
    if client_id is None:
        return ClientKeys()
    client = await sign_in.ports.state.read(lambda tx: tx.get(Client, client_id))
    if client is None or client.disabled:
        return ClientKeys()
    if client.jwks is not None:
        return ClientKeys(client.id, parse_key_set(client.jwks))
    if client.jwks_uri is None:
        return ClientKeys(client.id)
    # What an operator wrote may be a machine next door; what an app says of itself may not.
    public = client.registration_hash is not None
    keys = await fetch_key_set(sign_in.key_sets, client.jwks_uri, public=public)
    if not any(key.get("kid") == kid for key in keys):
        keys = await fetch_key_set(sign_in.key_sets, client.jwks_uri, fresh=True, public=public)
    return ClientKeys(client.id, keys)


async def _malformed(sign_in: SignIn, caller: Caller, description: str) -> Answer:
    error = "invalid_request"
    await refuse_app(sign_in.ports, "token", error, caller.address, caller.request_id)
    return Answer(400, {"error": error, "error_description": description})


def _audit(server: LaunchServer, request: LaunchRequest, answer: Answer, caller: Caller, door: str) -> AuditLine:
    grant = server.tx.get(Grant, server.issued.grant_id) if server.issued else None
    error = answer.body.get("error")
    reasons = [error, *sorted({ended.revoked_because or "" for ended in server.ended})]
    return AuditLine(
        at=server.moment.now,
        action="token",
        outcome="success" if answer.status == 200 else "refused",
        actor="client",
        user=grant.account_id if grant else None,
        client=request.client.row.id if request.client else None,
        token=server.issued.id if server.issued else None,
        patient=grant.patient if grant else None,
        detail=", ".join(reason for reason in reasons if reason) or request.payload.grant_type or door,
        address=caller.address,
        request_id=caller.request_id,
    )
