"""Passwords that many people use: whoever guesses tries these first, so nobody chooses one.

The 11,611 of eight characters and more among the 30,000 most frequent passwords of zxcvbn (see NOTICE), sorted, one a
line. https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.2.4)
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files


def is_common(password: str) -> bool:
    """However it is capitalized."""
    text = password.casefold()
    return "\n" not in text and f"\n{text}\n".encode(errors="replace") in _common()


@cache
def _common() -> bytes:
    """Read when the first password is chosen. Looked through as it is: a tenth of a set's memory, in microseconds."""
    return b"\n" + gzip.decompress(files(__package__).joinpath("common_passwords.txt.gz").read_bytes())
