"""How long a test waits for what has to come: a machine with twenty busy neighbours takes a minute for what a quiet one
does at once, and only what never comes may fail."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 120
