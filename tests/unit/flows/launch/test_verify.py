"""Who a token stands for, asked again and again."""

from fhir_facade.access.rights import rights_of
from fhir_facade.flows.launch.verify import verify_access_token
from tests.sign_in_world import clock, ports, world

__all__ = ["clock", "ports", "world"]


async def test_what_was_decided_for_a_token_is_known_again_when_it_is_verified_again(world):
    """Else each second would leave its decisions behind."""
    token = (await world.tokens())["access_token"]

    first = await verify_access_token(world.ports, token)
    again = await verify_access_token(world.ports, token)

    assert again == first
    assert rights_of(again, frozenset()) is rights_of(first, frozenset())
