"""What `--split` means: one installed split, all folds of an installed family, or files of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aigiqa_cli.errors import MachineFault, RefusedInput, UsageFault
from aigiqa_cli.partitions import Names, Partition, load, members, read_listing
from aigiqa_cli.partitions.partition import part_in
from aigiqa_cli.store import Record, Root

FILE = "file:"
LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl")


@dataclass(frozen=True)
class Folds:
    """`family` is what several are called together; "" for one. `part` is the one that the user asks for. Without a
    split there is one fold without sides, which stands for the whole database."""

    partitions: tuple[Partition, ...]
    family: str = ""
    part: str = ""

    @property
    def named(self) -> bool:
        return bool(self.partitions[0].sides)


EVERYTHING = Folds((Partition("", {}),))


def folds(root: Root, record: Record, names: Names, word: str) -> Folds:
    """The split that NAME[:PART], FILE[:PART] or FOLDER[:PART] means; a split of the database wins over a file.

    Raises UsageFault if nothing is called so, RefusedInput for a file that does not fit the database.
    """
    if not word:
        return EVERYTHING
    found = members(word, record.splits)
    name, colon, part = word.rpartition(":")
    if not found and colon and members(name, record.splits):
        word, found = name, members(name, record.splits)
    else:
        part = ""
    if found:
        partitions = tuple(load(root, record, word))
        return Folds(partitions, word if len(partitions) > 1 else "", part)
    if not Path(word).exists() and colon and Path(name).exists():
        word, part = name, word.rpartition(":")[2]
    path = Path(word)
    if not path.exists():
        file, sharp, one = word.partition("#")  # FILE#COLUMN[:PART]: one of the splits of a table
        path = Path(file)
        if sharp and path.is_file():
            one, _, part = one.partition(":")
            return _the_one(_of_path(path, names, part), path, one)
    if path.exists():
        return _of_path(path, names, part)
    load(root, record, (name if colon else word).removeprefix(FILE))  # says what is here
    raise AssertionError


def _of_path(path: Path, names: Names, part: str) -> Folds:
    if path.is_dir():
        files = sorted((one for one in path.iterdir() if one.suffix in LISTS and one.is_file()), key=_by_number)
        files = [one for one in files if one.suffix != ".json" or not one.with_suffix(".csv").exists()]
        if not files:
            raise UsageFault(f"the folder {path} holds no split files", hint=f"files: {', '.join(LISTS)}", phase="PLAN")
        partitions = _of_files(path, files, names)
    else:
        partitions = _of_file(path, names)
    return Folds(tuple(partitions), f"{FILE}{path.name}" if len(partitions) > 1 else "", part)


def _the_one(chosen: Folds, path: Path, name: str) -> Folds:
    for partition in chosen.partitions:
        if partition.name.rpartition("#")[2] == name:
            return Folds((partition,), part=chosen.part)
    present = ", ".join(partition.name.rpartition("#")[2] for partition in chosen.partitions)
    raise UsageFault(f"{path} has no split {name!r}", hint=f"splits: {present}", phase="PLAN")


def _of_files(folder: Path, files: Sequence[Path], names: Names) -> list[Partition]:
    """The splits of a folder, in the order of its files. Lists whose names say their side, such as `1-train` and
    `1-val`, are one split by the rest of their names."""
    found: dict[str, Partition] = {}
    for path in files:
        part, rest = part_in(path.stem)
        for partition in _of_file(path, names):
            if set(partition.sides) != {part}:
                found[partition.name] = partition
                continue
            called = f"{FILE}{folder.name}" + (f"#{rest}" if rest else "")
            sides = found[called].sides if called in found else {}
            if part in sides:
                raise UsageFault(
                    f"{folder} holds two lists of the part {part} of one split, {path.name} is the second",
                    hint="give the lists names such as 1-train.csv, 1-test.csv, 2-train.csv",
                    phase="PLAN",
                )
            found[called] = Partition.joined(called, {**sides, **partition.sides})
    return list(found.values())


def _by_number(path: Path) -> tuple[str, int, str]:
    """`split-2` before `split-10`."""
    head = path.stem.rstrip("0123456789")
    return head, int(path.stem[len(head) :] or -1), path.name


def _of_file(path: Path, names: Names) -> list[Partition]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MachineFault(f"{path} cannot be read: {error.strerror}", hint="check its name and rights") from error
    listing = read_listing(path.name, data, names)
    if listing.unknown:
        first = listing.unknown[0]
        raise RefusedInput(
            f"{first.path}: {first.found!r} is no image of {names.database}",
            hint="is it a split of another database? aigiqa split audit tells",
            fault="T06",
            database=names.database,
            phase="PLAN",
            findings=listing.unknown,
        )
    part = part_in(path.stem)[0] or "test"
    found = listing.partitions or (Partition("", {part: tuple(names.sorted(listing.images))}),)
    return [replace(partition, name=_called(path, partition, found)) for partition in found]


def _called(path: Path, partition: Partition, found: Sequence[Partition]) -> str:
    return f"{FILE}{path.name}" if len(found) == 1 else f"{FILE}{path.name}#{partition.name}"
