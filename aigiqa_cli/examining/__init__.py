"""What `doctor` looks at: one module a thing. Each yields Checks, and none changes anything."""

from __future__ import annotations

from aigiqa_cli.examining.check import BAD, NOT_TESTED, OK, WARN, Check

__all__ = ["BAD", "NOT_TESTED", "OK", "WARN", "Check"]
