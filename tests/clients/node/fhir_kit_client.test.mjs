// What the readme of fhir-kit-client shows, against the server at FHIR_BASE. https://github.com/Vermonster/fhir-kit-client

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import test from "node:test";

import { CapabilityTool, Client } from "fhir-kit-client";

const { FHIR_BASE: baseUrl, FHIR_TOKEN: bearerToken } = process.env;
const client = new Client({ baseUrl, bearerToken });
const resourceType = "Patient";

/** A patient of the test's own; `identifier` finds nobody else. */
async function admitted(elements = {}) {
  const value = randomUUID();
  const identifier = [{ system: "urn:kit", value }];
  const body = { resourceType, identifier, name: [{ family: "Kit", given: ["Jane"] }], active: true, ...elements };
  return { patient: await client.create({ resourceType, body }), identifier: `urn:kit|${value}`, body };
}

function weight(patient, day, text = "x") {
  return {
    resourceType: "Observation",
    status: "final",
    code: { text },
    subject: { reference: `Patient/${patient.id}` },
    effectiveDateTime: `2026-01-0${day}`,
  };
}

async function weighed(patient, days) {
  const entry = [];
  for (let day = 1; day <= days; day++) {
    entry.push({ resource: weight(patient, day), request: { method: "POST", url: "Observation" } });
  }
  await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
}

const days = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource.effectiveDateTime.slice(-1)).join("");

async function refusal(promise) {
  const error = await promise.then(() => assert.fail("was accepted"), (error) => error);
  return [error.response.status, error.response.data.resourceType, error.response.data.issue[0].code];
}

test("a resource is created, read, and its answer looked at", async () => {
  const { patient, body } = await admitted();
  const { response: made } = Client.httpFor(patient);
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("location"), `${baseUrl}/Patient/${patient.id}/_history/1`);

  const read = await client.read({ resourceType, id: patient.id });
  const { request, response } = Client.httpFor(read);
  assert.equal(request.url, `${baseUrl}/Patient/${patient.id}`);
  assert.equal(response.headers.get("etag"), 'W/"1"');
  assert.deepEqual(read.identifier, body.identifier);
  assert.deepEqual(read, patient);
});

test("a create that wants nothing back", async () => {
  const options = { headers: { Prefer: "return=minimal" } };
  const minimal = await client.create({ resourceType, body: { resourceType, active: true }, options });
  const { response } = Client.httpFor(minimal);
  assert.equal(response.status, 201);
  assert.match(response.headers.get("Location"), /\/Patient\/[^/]+\/_history\/1$/);
  assert.deepEqual(minimal, {});
});

test("updates, by id and by search, and the versions they leave", async () => {
  const { patient, identifier, body } = await admitted();
  await client.update({ resourceType, id: patient.id, body: { ...patient, birthDate: "1980-02-03" } });
  await client.update({ resourceType, searchParams: { identifier }, body: { ...body, gender: "female" } });

  const first = await client.vread({ resourceType, id: patient.id, version: "1" });
  const last = await client.read({ resourceType, id: patient.id });
  assert.equal(first.birthDate, undefined);
  assert.equal(last.gender, "female");
  assert.equal(last.meta.versionId, "3");
  const history = await client.history({ resourceType, id: patient.id });
  assert.deepEqual(history.entry.map((entry) => entry.resource.meta.versionId), ["3", "2", "1"]);
  assert.equal((await client.history({ resourceType })).type, "history");
  assert.equal((await client.history()).type, "history");
});

test("an update by search that finds nobody creates", async () => {
  const identifier = [{ system: "urn:kit", value: randomUUID() }];
  const searchParams = { identifier: `urn:kit|${identifier[0].value}` };
  const made = await client.update({ resourceType, searchParams, body: { resourceType, identifier } });
  assert.equal(Client.httpFor(made).response.status, 201);
});

test("a JSON Patch", async () => {
  const { patient } = await admitted();
  const jsonPatch = [
    { op: "replace", path: "/active", value: false },
    { op: "add", path: "/name/-", value: { use: "nickname", text: "Jay" } },
  ];
  const patched = await client.patch({ resourceType, id: patient.id, jsonPatch });
  assert.equal(patched.active, false);
  assert.deepEqual(patched.name.at(-1), { use: "nickname", text: "Jay" });
  const wrong = [{ op: "test", path: "/active", value: true }];
  assert.deepEqual((await refusal(client.patch({ resourceType, id: patient.id, jsonPatch: wrong }))).slice(1, 2), [
    "OperationOutcome",
  ]);
});

test("a delete, and what is left", async () => {
  const { patient, identifier } = await admitted();
  await client.delete({ resourceType, id: patient.id });
  assert.deepEqual(await refusal(client.read({ resourceType, id: patient.id })), [410, "OperationOutcome", "deleted"]);
  const found = await client.search({ resourceType, searchParams: { identifier } });
  assert.equal(found.total, 0);
});

test("errors carry an OperationOutcome", async () => {
  const nobody = client.read({ resourceType, id: randomUUID() });
  assert.deepEqual(await refusal(nobody), [404, "OperationOutcome", "not-found"]);
  const unknown = client.create({ resourceType, body: { resourceType, nonsense: true } });
  assert.deepEqual((await refusal(unknown)).slice(0, 2), [422, "OperationOutcome"]);
  const stranger = new Client({ baseUrl });
  assert.deepEqual(await refusal(stranger.read({ resourceType, id: "x" })), [401, "OperationOutcome", "login"]);
  const signed = new Client({ baseUrl, requestSigner: (url, init) => init.headers.set("authorization", `Bearer ${bearerToken}`) });
  assert.deepEqual(await refusal(signed.read({ resourceType, id: randomUUID() })), [404, "OperationOutcome", "not-found"]);
});

test("searches of a type, by GET and POST", async () => {
  const { patient, identifier } = await admitted({ birthDate: "1980-02-03" });
  const searchParams = { identifier, birthdate: ["gt1980-01-01", "lt1990-01-01"] };
  const found = await client.resourceSearch({ resourceType, searchParams });
  const posted = await client.search({ resourceType, searchParams, options: { postSearch: true } });
  for (const bundle of [found, posted]) {
    assert.equal(bundle.type, "searchset");
    assert.deepEqual(bundle.entry.map((entry) => entry.resource.id), [patient.id]);
    assert.equal(bundle.entry[0].fullUrl, `${baseUrl}/Patient/${patient.id}`);
  }
});

test("searches of the whole system, by GET and POST", async () => {
  const { patient } = await admitted();
  const searchParams = { _type: "Patient,Practitioner", _id: patient.id };
  const found = await client.systemSearch({ searchParams });
  const posted = await client.systemSearch({ searchParams, options: { postSearch: true } });
  const plain = await client.search({ searchParams });
  for (const bundle of [found, posted, plain]) {
    assert.deepEqual(bundle.entry.map((entry) => entry.resource.id), [patient.id]);
  }
});

test("searches of a compartment, by GET and POST", async () => {
  const { patient } = await admitted();
  await weighed(patient, 2);
  const asked = {
    resourceType: "Observation",
    compartment: { resourceType, id: patient.id },
    searchParams: { _sort: "date" },
  };
  assert.equal(days(await client.compartmentSearch(asked)), "12");
  assert.equal(days(await client.search({ ...asked, searchParams: { date: "2026-01-02" } })), "2");
  assert.equal(days(await client.compartmentSearch({ ...asked, options: { postSearch: true } })), "12");
});

test("pages forwards and backwards", async () => {
  const { patient } = await admitted();
  await weighed(patient, 5);
  const searchParams = { patient: patient.id, _sort: "date", _count: "2" };
  const seen = [];
  let bundle = await client.search({ resourceType: "Observation", searchParams });
  let last;
  while (bundle) {
    seen.push(days(bundle));
    last = bundle;
    bundle = (await client.nextPage({ bundle })) ?? null;
  }
  assert.deepEqual(seen, ["12", "34", "5"]);
  const before = await client.prevPage({ bundle: last });
  assert.equal(days(before), "34");
  assert.equal(days(await client.prevPage({ bundle: before })), "12");
});

test("a batch answers each entry on its own", async () => {
  const { patient } = await admitted();
  await weighed(patient, 1);
  const entry = [
    { request: { method: "GET", url: `Patient/${patient.id}` } },
    { request: { method: "GET", url: `Observation?patient=${patient.id}&_count=5` } },
    { request: { method: "GET", url: `Patient/${randomUUID()}` } },
  ];
  const answer = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry } });
  assert.deepEqual(answer.entry.map((one) => one.response.status.slice(0, 3)), ["200", "200", "404"]);
  assert.equal(answer.entry[0].resource.id, patient.id);
  assert.equal(days(answer.entry[1].resource), "1");
});

test("a transaction resolves its own references, however large", async () => {
  const fullUrl = `urn:uuid:${randomUUID()}`;
  const text = "n".repeat(100_000);
  const body = {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      { fullUrl, resource: { resourceType, active: true }, request: { method: "POST", url: "Patient" } },
      {
        resource: { ...weight({}, 1, text), subject: { reference: fullUrl } },
        request: { method: "POST", url: "Observation" },
      },
    ],
  };
  const answer = await client.transaction({ body, options: { keepalive: false } });
  assert.equal(answer.type, "transaction-response");
  const [patient, observation] = answer.entry.map((one) => one.response.location.split("/_history/")[0].split("/").slice(-2));
  const read = await client.read({ resourceType: "Observation", id: observation[1] });
  assert.equal(read.subject.reference, patient.join("/"));
});

test("operations on the server, a type and a resource", async () => {
  const { patient, body } = await admitted();
  await weighed(patient, 1);
  const everything = await client.operation({ name: "everything", resourceType, id: patient.id });
  assert.deepEqual(everything.entry.map((entry) => entry.resource.resourceType).sort(), ["Observation", "Patient"]);
  const again = await client.operation({ name: "$everything", resourceType, id: patient.id, method: "GET", input: { _count: 1 } });
  assert.equal(again.entry.length, 1);
  const validated = await client.operation({ name: "validate", resourceType, input: body });
  assert.equal(validated.resourceType, "OperationOutcome");
  assert.ok(validated.issue.every((issue) => issue.severity !== "error"));
  const input = { url: "http://hl7.org/fhir/ValueSet/administrative-gender" };
  const expanded = await client.operation({ name: "expand", resourceType: "ValueSet", method: "GET", input });
  assert.ok(expanded.expansion.contains.some((concept) => concept.code === "female"));
  assert.equal((await client.operation({ name: "versions", method: "GET" })).resourceType, "Parameters");
});

test("references are resolved: relative, absolute, contained, in a Bundle", async () => {
  const { patient } = await admitted({ contained: [{ resourceType: "Organization", id: "home", name: "Home" }],
    managingOrganization: { reference: "#home" } });
  await weighed(patient, 1);
  const relative = await client.resolve({ reference: `Patient/${patient.id}` });
  const absolute = await client.resolve({ reference: `${baseUrl}/Patient/${patient.id}` });
  assert.deepEqual([relative.id, absolute.id], [patient.id, patient.id]);
  assert.equal((await client.resolve({ reference: "#home", context: patient })).name, "Home");
  const searchParams = { patient: patient.id, _include: "Observation:patient" };
  const context = await client.search({ resourceType: "Observation", searchParams });
  const inside = await client.resolve({ reference: `Patient/${patient.id}`, context });
  assert.equal(inside, context.entry.find((entry) => entry.search.mode === "include").resource);
});

test("raw requests", async () => {
  const made = await client.request("Patient", {
    method: "POST",
    body: { resourceType, active: true },
    options: { headers: { "Content-Type": "application/fhir+json" } },
  });
  assert.equal((await client.request(`Patient/${made.id}`)).active, true);
  const gone = await client.request(`Patient/${made.id}`, { method: "DELETE" });
  assert.ok([200, 204].includes(Client.httpFor(gone).response.status));
});

test("the capability statement answers what the tool asks", async () => {
  const statement = await client.capabilityStatement();
  const tool = new CapabilityTool(statement);
  assert.equal(statement.fhirVersion, "4.0.1");
  assert.ok(tool.serverCan("transaction"));
  assert.ok(tool.serverCan("batch"));
  assert.ok(tool.serverSearch("_id"));
  assert.ok(tool.supportFor({ capabilityType: "interaction", where: { code: "history-system" } }));
  assert.ok(tool.resourceCan(resourceType, "create"));
  assert.ok(tool.resourceSearch(resourceType, "birthdate"));
  assert.ok(tool.interactionsFor({ resourceType }).includes("search-type"));
  assert.ok(tool.searchParamsFor({ resourceType }).includes("identifier"));
  assert.equal(tool.resourceCapabilities({ resourceType }).type, resourceType);
  assert.ok(["not-supported", "single", "multiple"].includes(
    tool.capabilityContents({ resourceType, capabilityType: "conditionalDelete" })));
});

test("the addresses for signing in are found without a token", async () => {
  const stranger = new Client({ baseUrl });
  const { authorizeUrl, tokenUrl, registerUrl } = await stranger.smartAuthMetadata();
  const origin = new URL(baseUrl).origin;
  assert.deepEqual([authorizeUrl.href, tokenUrl.href, registerUrl?.href], [
    `${origin}/oauth/authorize`,
    `${origin}/oauth/token`,
    `${origin}/oauth/register`,
  ]);
});
