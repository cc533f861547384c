"""An authorization server on a real state store."""

from tests.sign_in_world import clock, ports, state, world

__all__ = ["clock", "ports", "state", "world"]
