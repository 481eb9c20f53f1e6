"""What the commands do: one module a verb. Steps know each other not at all, and never print."""

from __future__ import annotations
