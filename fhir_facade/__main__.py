"""Entry point of the `fhir-facade` command."""


def main() -> None:
    raise SystemExit("not wired yet")
