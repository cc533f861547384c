// The FHIR part of MedplumClient, with an access token, against the server at FHIR_BASE.
// https://www.medplum.com/docs/sdk/core.medplumclient

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";

import { MedplumClient } from "@medplum/core";

const { FHIR_BASE, FHIR_TOKEN } = process.env;
const client = new MedplumClient({
  baseUrl: FHIR_BASE.replace(/fhir$/, ""),
  fhirUrlPath: "fhir",
  accessToken: FHIR_TOKEN,
  fetch,
  cacheTime: 0,
});

const named = (value) => ({ resourceType: "Patient", identifier: [{ system: "urn:medplum", value }], active: true });

async function observed(days) {
  const patient = await client.createResource(named(randomUUID()));
  for (let day = 1; day <= days; day++) {
    await client.createResource({
      resourceType: "Observation",
      status: "final",
      code: { coding: [{ system: "http://loinc.org", code: "2339-0" }] },
      subject: { reference: `Patient/${patient.id}` },
      effectiveDateTime: `2026-01-0${day}`,
    });
  }
  return patient;
}

async function refusal(promise) {
  const error = await promise.then(() => assert.fail("was accepted"), (error) => error);
  return [error.outcome.resourceType, error.outcome.issue[0].code];
}

test("what is absent or wrong is told with its outcome", async () => {
  assert.deepEqual(await refusal(client.readResource("Patient", "absent")), ["OperationOutcome", "not-found"]);
  assert.deepEqual(await refusal(client.search("Patient", { nonsense: "x" })), ["OperationOutcome", "not-supported"]);
  const wrong = { resourceType: "Observation", status: "final" };
  assert.deepEqual(await refusal(client.createResource(wrong)), ["OperationOutcome", "required"]);
});

test("a resource is created, read, changed, patched and deleted", async () => {
  const made = await client.createResource(named(randomUUID()));
  const changed = await client.updateResource({ ...made, birthDate: "1980-05-17" });
  assert.equal(changed.meta.versionId, "2");
  const patch = [{ op: "replace", path: "/active", value: false }];
  assert.equal((await client.patchResource("Patient", made.id, patch)).active, false);
  assert.equal((await client.readResource("Patient", made.id)).birthDate, "1980-05-17");
  assert.equal((await client.readHistory("Patient", made.id)).entry.length, 3);
  assert.equal((await client.readVersion("Patient", made.id, "1")).active, true);
  await client.deleteResource("Patient", made.id);
  assert.deepEqual(await refusal(client.readResource("Patient", made.id)), ["OperationOutcome", "deleted"]);
});

test("conditions find the one that is there", async () => {
  const value = randomUUID();
  const condition = `identifier=urn:medplum|${value}`;
  const made = await client.createResourceIfNoneExist(named(value), condition);
  assert.equal((await client.createResourceIfNoneExist(named(value), condition)).id, made.id);
  const changed = await client.upsertResource({ ...named(value), gender: "female" }, condition);
  assert.deepEqual([changed.id, changed.gender], [made.id, "female"]);
});

test("searches are counted, and their pages walked to the end", async () => {
  const patient = await observed(5);
  const own = { subject: `Patient/${patient.id}` };
  assert.equal((await client.search("Observation", { ...own, _total: "accurate", _count: 1 })).total, 5);
  assert.equal((await client.searchOne("Observation", { ...own, _sort: "-date" })).effectiveDateTime, "2026-01-05");
  const sizes = [];
  for await (const page of client.searchResourcePages("Observation", { ...own, _count: 2 })) sizes.push(page.length);
  assert.deepEqual(sizes, [2, 2, 1]);
  assert.equal((await client.readPatientEverything(patient.id)).entry.length, 6);
});

test("a batch and a transaction answer each entry", async () => {
  const entry = [named(randomUUID()), named(randomUUID())].map((resource) => ({
    resource,
    request: { method: "POST", url: "Patient" },
  }));
  for (const type of ["batch", "transaction"]) {
    const answer = await client.executeBatch({ resourceType: "Bundle", type, entry });
    assert.deepEqual(answer.entry.map((each) => each.response.status), ["201 Created", "201 Created"]);
  }
});

test("codes are looked up, and resources validated", async () => {
  const url = "http://hl7.org/fhir/ValueSet/administrative-gender";
  const found = await client.valueSetExpand({ url, filter: "fem" });
  assert.deepEqual(found.expansion.contains.map((each) => each.code), ["female"]);
  const outcome = await client.validateResource({ resourceType: "Observation", status: "final" });
  assert.equal(outcome.issue[0].severity, "error");
});

test("the content of a Binary comes back as it was sent", async () => {
  const patient = await client.createResource(named(randomUUID()));
  const securityContext = { reference: `Patient/${patient.id}` };
  const data = new Uint8Array([0, 1, 254, 255]);
  const made = await client.createBinary({ data, contentType: "image/png", securityContext });
  assert.deepEqual(made.securityContext, securityContext);
  const content = await client.download(`${FHIR_BASE}/Binary/${made.id}`);
  assert.deepEqual([content.type, ...new Uint8Array(await content.arrayBuffer())], ["image/png", ...data]);
});
