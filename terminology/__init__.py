"""Codes, value sets, maps and units as data: loaded once on first use, never asked from a network."""
