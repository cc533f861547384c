"""Which formats are spoken: JSON of R4 and nothing else. https://hl7.org/fhir/R4/http.html#mime-type"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from fhir_facade.errors import NotAcceptable

FHIR_JSON: Final = "application/fhir+json"
FORM: Final = "application/x-www-form-urlencoded"
JSON_TYPES: Final = frozenset((FHIR_JSON, "application/json", "application/json+fhir", "text/json", "json"))
VERSIONS: Final = frozenset(("4.0", "4.0.1"))
PRESENTATION: Final = frozenset(("_format", "_pretty"))
"""Parameters of every request that say how its answer looks: https://hl7.org/fhir/R4/http.html#parameters"""
ONLY_JSON: Final = f"is not available: this server speaks JSON ({FHIR_JSON}) of FHIR 4.0"
_PARAMETER: Final = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ANY: Final = frozenset(("*/*", "application/*", "text/*", ""))


@lru_cache(maxsize=256)
def check_format(format: str) -> None:
    """NotAcceptable for a `_format` that is not spoken; a plus that was not escaped came as a space."""
    if not is_taken(format.replace(" ", "+")):
        raise NotAcceptable(f"_format={format} {ONLY_JSON}")


def is_taken(wanted: str) -> bool:
    """Whether one media range asks for what there is: JSON, of R4 where it names a version, and not with q=0."""
    essence, parameters = media(wanted)
    if essence not in JSON_TYPES | _ANY or parameters.get("q", "1").strip("0.") == "":
        return False
    return parameters.get("fhirversion", "4.0") in VERSIONS


def media(text: str) -> tuple[str, dict[str, str]]:
    """The essence and the parameters of a media type, names in lower case. Those that are written in another way than
    `name=value` are none: `q*=` of mail has no meaning here (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.6)."""
    essence, semicolon, rest = text.partition(";")
    found = _PARAMETER.findall(semicolon + rest)
    return essence.strip().lower(), {name.lower(): value.strip().strip('"') for name, value in found}
