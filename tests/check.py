"""The one check: format, lint, strict types, tests with coverage. Warnings are errors. Extra arguments go to pytest.

python tests/check.py                              everything, the long rigs as short samples
python tests/check.py --rig kill=5000 --seed 7     one rig alone, at this length (see tests/rigs.py)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Each process begins with a part of its own, which makes a module's fixtures once; who is ready first takes from others.
TESTS = ("pytest", "-n", "auto", "--dist", "worksteal")
STEPS = (
    ["ruff", "format", "--check", "."],
    ["ruff", "check", "."],
    ["mypy"],
    [*TESTS, "-m", "not rig", "--cov", "--cov-report=term:skip-covered"],
    [*TESTS, "-m", "rig"],  # short samples; coverage would make each of their thousand runs slower
)


def main() -> int:
    alone = any(word.startswith("--rig") for word in sys.argv[1:])
    for step in (TESTS,) if alone else STEPS:
        command = [sys.executable, "-m", *step, *(sys.argv[1:] if step[0] == "pytest" else ())]
        print("$", " ".join(step), flush=True)
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            print(f"{step[0]} failed with exit status {code}", flush=True)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
