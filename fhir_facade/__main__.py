"""Entry point of the `fhir-facade` command."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pydantic import ValidationError

from fhir_facade.errors import FacadeError

INTERRUPTED = 130


def main() -> None:
    """Run the command. What a person can mend is said in a sentence; the exit code is then 1."""
    try:
        _command()()
    except FacadeError as error:
        sys.exit(f"fhir-facade: {error}")
    except ValidationError as error:
        wrong = "; ".join(f"FHIR_FACADE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        sys.exit(f"fhir-facade: the settings are not right: {wrong}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        sys.exit(f"fhir-facade: {error.filename or 'the system'}: {error.strerror or error}")


def _command() -> Callable[[], None]:
    """`serve` has no options: it starts without what would parse them."""
    if sys.argv[1:] == ["serve"]:
        from fhir_facade.cli.serve import serve

        return serve
    from fhir_facade.cli.root import command_line
    from fhir_facade.settings import misnamed

    if wrong := misnamed():
        print(f"fhir-facade: {wrong}", file=sys.stderr)
    return command_line(next(iter(sys.argv[1:]), ""))


if __name__ == "__main__":
    main()
