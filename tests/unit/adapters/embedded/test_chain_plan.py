"""How SQLite goes along a chain."""

import sqlite3
from datetime import UTC, datetime

from fhir_facade.adapters.embedded.catalogue import Catalogue
from fhir_facade.adapters.embedded.criteria import condition
from fhir_facade.adapters.embedded.schema import migrate
from fhir_facade.fhir.query import parse_query


def test_what_a_chain_leads_to_is_found_by_what_is_asked_of_it_and_not_among_all_of_its_type():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    catalogue = Catalogue()
    catalogue.load(connection)
    (criterion,) = parse_query("Observation", [("patient.family", "Hale")], now=datetime.now(UTC)).query.criteria

    sql, args = condition(catalogue, "Observation", criterion).members()
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", args)]
    connection.close()

    assert "SEARCH fhir_resource USING INTEGER PRIMARY KEY (rowid=?)" in plan, plan
