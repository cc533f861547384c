// The whole app on one page, as the library's documentation has it for small apps.

FHIR.oauth2
  .init({ clientId: "growth-chart", scope: "launch/patient patient/*.rs", redirectUri: "single.html" })
  .then((client) => client.patient.read())
  .then((patient) => (document.querySelector("h1").textContent = patient.name[0].text));
