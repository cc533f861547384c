// The launch page of the library's readme: ?iss=… alone is a standalone launch, &launch=… comes from an EHR, with
// &target=popup people sign in in a window of its own.

const asked = new URLSearchParams(location.search);
const fromEhr = asked.has("launch");

FHIR.oauth2.authorize({
  clientId: "growth-chart",
  scope: `${fromEhr ? "launch" : "launch/patient"} openid fhirUser offline_access patient/*.cruds user/Practitioner.rs`,
  redirectUri: "index.html",
  target: asked.get("target") ?? "_self",
});
