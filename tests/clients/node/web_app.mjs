// A web app that keeps its key to itself: the Express example of the library's readme, on Node's own server.
// Its first line of output is its address, the second its public key set. https://docs.smarthealthit.org/client-js/

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

import smart from "fhirclient";

const alg = process.argv[2];
const kinds = { RS384: ["rsa", { modulusLength: 2048 }], ES384: ["ec", { namedCurve: "P-384" }] };
const { publicKey, privateKey } = generateKeyPairSync(...kinds[alg]);
const own = { kid: "web-app", alg };
const clientPrivateJwk = { ...privateKey.export({ format: "jwk" }), ...own, key_ops: ["sign"] };
const kept = new Map();
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => void kept.set(key, value),
  unset: async (key) => kept.delete(key),
};

const routes = {
  // What the EHR, or the person, calls.
  "/launch": (fhir) =>
    fhir.authorize({
      clientId: `web-app-${alg}`,
      scope: "launch/patient openid fhirUser offline_access patient/*.rs",
      redirectUri: "/app",
      pkceMode: "required",
      clientPrivateJwk,
    }),
  // Where the person comes back to.
  "/app": async (fhir, response) => {
    const client = await fhir.ready();
    const patient = await client.patient.read();
    const observations = await client.patient.request("Observation", { pageLimit: 0, flat: true });
    const { fhirUser } = client.user;
    response.end(JSON.stringify({ patient, observations, fhirUser }));
  },
};

const server = createServer(async (request, response) => {
  const route = routes[new URL(request.url, "http://app.example").pathname];
  try {
    await route(smart(request, response, storage), response);
  } catch (error) {
    response.statusCode = 500;
    response.end(`${error.stack}`);
  }
});

server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
  console.log(JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), ...own, use: "sig" }] }));
});
