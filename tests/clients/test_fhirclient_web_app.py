"""SMART's JavaScript library on a web server of its own, which signs in to the token endpoint with its key.

https://docs.smarthealthit.org/client-js/
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from fhir_facade.flows.launch.clients import NewClient
from tests.clients.conftest import DOCTOR, Site, node_server
from tests.patience import PATIENCE_S

ALLOWED = "launch launch/patient openid fhirUser offline_access patient/*.rs"


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_a_web_app_with_a_key_of_its_own_is_launched(site: Site, scripts: Path, algorithm: str) -> None:
    name = f"web-app-{algorithm}"
    with (
        node_server(scripts, "web_app.mjs", algorithm) as (app, keys),
        httpx.Client(timeout=PATIENCE_S, verify=False) as browser,
    ):
        site.register(NewClient(name, "confidential", ALLOWED, redirect_uris=(f"{app}/app",), jwks=keys))
        launched = browser.get(f"{app}/launch", params={"iss": site.fhir})
        assert launched.status_code == 302, launched.text
        callback = site.allow(launched.headers["location"], "bob", "clients-ann")
        shown = browser.get(callback)

    assert shown.status_code == 200, shown.text
    assert shown.json()["patient"]["name"][0]["text"] == "Ann Example"
    assert {one["subject"]["reference"] for one in shown.json()["observations"]} <= {"Patient/clients-ann"}
    assert shown.json()["fhirUser"] == f"Practitioner/{DOCTOR}"
