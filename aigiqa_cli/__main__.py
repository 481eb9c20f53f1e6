"""`python -m aigiqa_cli` is the `aigiqa` command."""

from __future__ import annotations

from aigiqa_cli.cli.main import run

if __name__ == "__main__":
    run()
