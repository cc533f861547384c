"""The portal at `/`: plain pages for patients and practitioners; every read and write goes through the flows."""

from fhir_facade.api.portal.routes import portal_routes

__all__ = ["portal_routes"]
