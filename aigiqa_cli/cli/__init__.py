"""The command line: parse, call one step, render. Only this room prints, and only `main` exits."""

from __future__ import annotations
