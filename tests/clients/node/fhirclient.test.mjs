// What the documentation of SMART's JavaScript library shows for Node, with a token at hand. https://docs.smarthealthit.org/client-js/

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";

import smart from "fhirclient";

const { FHIR_BASE: serverUrl, FHIR_TOKEN: access_token } = process.env;
const request = { url: "/", headers: { host: "app.example" }, socket: {}, session: {} };
const connected = (patient) => smart(request, {}).client({ serverUrl, tokenResponse: { access_token, patient } });
const client = connected();

async function admitted(family = `F${randomUUID()}`) {
  return client.create({ resourceType: "Patient", name: [{ family, given: ["Node"] }], gender: "female" });
}

async function weighed(patient, ...grams) {
  const made = grams.map((value, index) =>
    client.create({
      resourceType: "Observation",
      status: "final",
      code: { coding: [{ system: "urn:scale", code: value < 1000 ? "light" : "heavy" }] },
      subject: { reference: `Patient/${patient.id}` },
      effectiveDateTime: `2026-01-0${index + 1}`,
      valueQuantity: { value, unit: "g", system: "http://unitsofmeasure.org", code: "g" },
    }),
  );
  return Promise.all(made);
}

const status = (promise) => promise.then(() => assert.fail("was accepted"), (error) => error.status);

test("a resource is created, changed, patched and deleted", async () => {
  const made = await admitted();
  const changed = await client.update({ ...made, birthDate: "1980-02-03" });
  const patch = [{ op: "replace", path: "/gender", value: "other" }];
  const patched = await client.patch(`Patient/${made.id}`, patch);
  const read = await client.request(`Patient/${made.id}`);
  assert.deepEqual([changed.birthDate, patched.gender, read.meta.versionId], ["1980-02-03", "other", "3"]);
  assert.deepEqual(read, patched);
  await client.delete(`Patient/${made.id}`);
  assert.equal(await status(client.request(`Patient/${made.id}`)), 410);
});

test("a create without an answer is followed to where it went", async () => {
  const body = { resourceType: "Patient", active: true };
  const made = await client.create(body, { headers: { Prefer: "return=minimal" } });
  assert.equal(made.active, true);
});

test("a version that is not the last is not overwritten", async () => {
  const made = await admitted();
  await client.update({ ...made, active: true }, { headers: { "if-match": 'W/"1"' } });
  const late = client.update({ ...made, active: false }, { headers: { "if-match": 'W/"1"' } });
  assert.equal(await status(late), 412);
});

test("errors tell what the server said", async () => {
  const error = await client.request(`Patient/${randomUUID()}`).catch((error) => error);
  assert.equal(error.status, 404);
  assert.match(error.message, /not found|known/i);
  assert.equal(await status(smart(request, {}).client(serverUrl).request("Patient")), 401);
});

test("pages are fetched up to a limit, or all, or one by one", async () => {
  const patient = await admitted();
  await weighed(patient, 1, 2, 3, 4, 5);
  const url = `Observation?patient=${patient.id}&_sort=date&_count=2`;
  const values = (observations) => observations.map((one) => one.valueQuantity.value);
  const first = await client.request(url);
  assert.deepEqual(values(first.entry.map((entry) => entry.resource)), [1, 2]);
  assert.deepEqual(values(await client.request(url, { pageLimit: 2, flat: true })), [1, 2, 3, 4]);
  assert.deepEqual(values(await client.request(url, { pageLimit: 0, flat: true })), [1, 2, 3, 4, 5]);
  const seen = [];
  await client.request(url, { pageLimit: 0, flat: true, onPage: (page) => seen.push(values(page)) });
  assert.deepEqual(seen, [[1, 2], [3, 4], [5]]);
  const walked = [];
  for await (const one of client.resources(url)) walked.push(one);
  assert.deepEqual(values(walked), [1, 2, 3, 4, 5]);
  let pages = 0;
  for await (const page of client.pages(url, { limit: 2 })) pages += page.entry.length;
  assert.equal(pages, 4);
});

test("references are resolved in place or beside", async () => {
  const patient = await admitted();
  const [weight] = await weighed(patient, 3000);
  const url = `Observation/${weight.id}`;
  const inside = await client.request(url, { resolveReferences: ["subject"] });
  assert.equal(inside.subject.id, patient.id);
  const beside = await client.request(url, { resolveReferences: ["subject"], graph: false });
  assert.equal(beside.references[`Patient/${patient.id}`].id, patient.id);
  const got = await client.getReferences(weight, ["subject"]);
  assert.equal(got[`Patient/${patient.id}`].gender, "female");
});

test("requests about the patient of the launch, and what the library makes of them", async () => {
  const patient = await admitted();
  await weighed(patient, 3000, 4000, 500);
  const launched = connected(patient.id);
  assert.equal(launched.patient.id, patient.id);
  assert.equal((await launched.patient.read()).id, patient.id);
  const observations = await launched.patient.request("Observation?_sort=date", { flat: true });
  const byCodes = launched.byCodes(observations, "code");
  assert.deepEqual(byCodes("heavy").map((one) => launched.units.kg(one.valueQuantity)), [3, 4]);
  assert.equal(byCodes("light").length, 1);
  assert.equal(launched.getPath(observations, "0.valueQuantity.code"), "g");
});

test("the answer itself is there when it is asked for", async () => {
  const { body, response } = await client.request({ url: "metadata", includeResponse: true });
  assert.equal(body.resourceType, "CapabilityStatement");
  assert.match(response.headers.get("content-type"), /^application\/fhir\+json/);
  assert.equal(await client.getFhirVersion(), "4.0.1");
  assert.equal(await client.getFhirRelease(), 4);
});

test("a transaction, and an operation", async () => {
  const entry = [{ resource: { resourceType: "Patient", active: true }, request: { method: "POST", url: "Patient" } }];
  const body = JSON.stringify({ resourceType: "Bundle", type: "transaction", entry });
  const headers = { "content-type": "application/fhir+json" };
  const answer = await client.request({ url: "/", method: "POST", body, headers });
  const id = answer.entry[0].response.location.match(/Patient\/([^/]+)/)[1];
  const everything = await client.request(`Patient/${id}/$everything`);
  assert.deepEqual(everything.entry.map((one) => one.resource.id), [id]);
});
