// The page the person comes back to; its heading is the patient's name, or what went wrong.

const app = FHIR.oauth2.ready();
const heading = document.querySelector("h1");

app
  .then((client) => client.patient.read())
  .then((patient) => (heading.textContent = patient.name[0].text))
  .catch((error) => (heading.textContent = error.message));
