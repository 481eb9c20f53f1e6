"""repair: what `verify` found damaged gets its recorded bytes back; what is not ours stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, Finding
from aigiqa_cli.restoring import Restored, restore

_BUILT = ("labels/", "splits/")


@dataclass(frozen=True)
class Repaired:
    """What was restored, what lies in quarantine now, how many bytes were fetched from where, and what is damaged
    still, with the reason."""

    database: str
    files: tuple[Restored, ...] = ()
    quarantined: tuple[str, ...] = ()
    fetched: tuple[tuple[str, int], ...] = ()
    left: tuple[str, ...] = ()
    fault: Fault | None = None

    @property
    def buildable(self) -> bool:
        """Is only that damaged still which an installation from labels and images makes anew?"""
        return bool(self.left) and all(path.startswith(_BUILT) or "/" not in path for path in self.left)

    def as_json(self) -> dict[str, Any]:
        return {
            "repaired": [asdict(file) for file in self.files],
            "quarantined": list(self.quarantined),
            "fetched": [{"origin": origin, "bytes": count} for origin, count in self.fetched],
            "moved": sum(count for _, count in self.fetched),
        }


def repair(context: Context, name: str, findings: Sequence[Finding], password: str = "") -> Repaired:
    """Restore the files of one installed database that `findings` name. `password` is that of encrypted archives."""
    problems = {finding.path.removeprefix(f"{name}/"): finding.problem for finding in findings}
    bench = restore(context, name, problems, password)
    return Repaired(
        name,
        tuple(bench.restored),
        tuple(map(str, bench.quarantined)),
        tuple(bench.from_whom.items()),
        tuple(bench.lost),
        bench.fault,
    )
