// The launch page of the library's readme: ?iss=… alone is a standalone launch, &launch=… comes from an EHR.

const fromEhr = new URLSearchParams(location.search).has("launch");

FHIR.oauth2.authorize({
  clientId: "growth-chart",
  scope: `${fromEhr ? "launch" : "launch/patient"} openid fhirUser offline_access patient/*.cruds user/Practitioner.rs`,
  redirectUri: "index.html",
});
