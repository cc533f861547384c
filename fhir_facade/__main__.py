"""Entry point of the `fhir-facade` command."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from fhir_facade.errors import FacadeError


def main() -> None:
    """Run the command. What a person can mend is said in a sentence; the exit code is then 1."""
    from fhir_facade.cli.root import command_line

    try:
        command_line(next(iter(sys.argv[1:]), ""))()
    except FacadeError as error:
        sys.exit(f"fhir-facade: {error}")
    except ValidationError as error:
        wrong = "; ".join(f"FHIR_FACADE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        sys.exit(f"fhir-facade: the settings are not right: {wrong}")
    except OSError as error:
        sys.exit(f"fhir-facade: {error.filename or 'the system'}: {error.strerror or error}")


if __name__ == "__main__":
    main()
