// A reporter for node:test: one line of JSON per test, with what went wrong or null. https://nodejs.org/api/test.html#custom-reporters

export default async function* results(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const error = data.details?.error?.cause ?? data.details?.error;
    yield JSON.stringify({ name: data.name, error: type === "test:fail" ? `${error?.stack ?? error}` : null }) + "\n";
  }
}
