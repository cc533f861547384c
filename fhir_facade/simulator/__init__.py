"""A wearable vendor to try connections with: Google OAuth 2.0 and the Google Health API v4, with invented people.

It is a program of its own that shares no code with the facade: https://developers.google.com/health,
docs/vendor-simulator.md.
"""
