"""import: the same as fetch, from what a person has. Files are read in place, never moved, changed or linked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, PersonNeeded, RefusedInput
from aigiqa_cli.installing import File, Options, Supplies, install, passwords
from aigiqa_cli.installing.labelling import choose_source
from aigiqa_cli.installing.recognising import Given, header_fault, look, sort_into, whose
from aigiqa_cli.obtaining import Obtained, label_tables
from aigiqa_cli.states import State, state_of
from aigiqa_cli.store import heal, locked

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database, LabelSource


@dataclass(frozen=True)
class Imported:
    """One database that was installed from given files."""

    database: str
    folder: str
    state: State


@dataclass
class Sorted:
    """What was given, by database; and what belongs nowhere, with the reason."""

    databases: dict[str, list[Given]] = field(default_factory=dict)
    skipped: list[Finding] = field(default_factory=list)


def sort_paths(context: Context, paths: Sequence[Path], password: str = "") -> Sorted:
    """Find out to which database each path belongs. Raises RefusedInput if none belongs anywhere."""
    context.root.prepare()
    known = list(_readable(context))
    result = Sorted()
    telling: Fault | None = None  # says more than that nothing was recognised
    taken: set[Path] = set()
    for path in paths:
        if path.resolve() in taken:  # a volume of a set that was found already
            continue
        try:
            given = look(path, paths, password)
            taken |= {volume.resolve() for volume in given.file.paths}
            owner = whose(known, given, context.root.staging) if given.shape != "unknown" else None
        except (RefusedInput, PersonNeeded, IntegrityFault) as fault:
            telling = telling or (None if isinstance(fault, RefusedInput) else fault)
            result.skipped.append(Finding("", str(path), fault.message, "a file of a known database", ""))
            continue
        if owner is None:
            why = given.why or "it fits no known database by hash, member names or table header"
            result.skipped.append(Finding("", str(path), f"not recognised: {why}", "a file of a known database", ""))
        else:
            result.databases.setdefault(owner.id, []).append(given)
            what = "images" if given.shape == "container" else "labels or splits"
            context.reporter.note(f"{path.name}: {what} of {owner.title}")
    if not result.databases and telling is not None:
        raise telling
    if not result.databases:
        raise RefusedInput(
            f"nothing was recognised: {result.skipped[0].path}: {result.skipped[0].problem}",
            hint="name the database: aigiqa import DB PATH (ids: aigiqa list -q)",
            fault="A23",
            phase="LIST",
            findings=result.skipped,
        )
    return result


def _readable(context: Context) -> Iterator[Database]:
    """Every database whose manifest can be read; one broken file must not stop the others."""
    for entry in context.catalogue.entries.values():
        try:
            yield context.catalogue.load(entry)
        except RefusedInput as fault:
            context.reporter.note(f"{entry.id} is passed over: {fault.message}; see aigiqa lint {entry.path}")


def import_paths(context: Context, database: Database, paths: Sequence[Path | Given], options: Options) -> Imported:
    """Install one database from these paths, which add up to one install."""
    supplies = Supplies()
    for given in _looked_at(paths, options.password):
        if not sort_into(database, given, supplies):
            raise _unrecognised(database, given)
    context.root.prepare()
    with locked(context.root, database.id, context.reporter):
        heal(context.root, database.id)
        _demand_space(context, supplies)
        obtained = Obtained(context)
        _complete_tables(obtained, database, supplies)
        chosen = Options(not supplies.containers or options.labels_only, options.require_hashes)
        install(context.root, database, context.manifest_bytes(database.id), supplies, chosen, context.reporter)
        obtained.drop()
    folder = str(context.root.folder(database.id))
    return Imported(database.id, folder, state_of(context.root, database.id, database))


def _looked_at(paths: Sequence[Path | Given], password: str) -> Iterator[Given]:
    """What each path is; the volumes of a split archive are one thing."""
    others = [path for path in paths if isinstance(path, Path)]
    taken: set[Path] = set()
    for path in paths:
        if (path if isinstance(path, Path) else path.file.path).resolve() in taken:
            continue
        given = look(path, others, password) if isinstance(path, Path) else path
        taken |= {volume.resolve() for volume in given.file.paths}
        yield replace(given, file=replace(given.file, password=given.file.password or password))


def _unrecognised(database: Database, given: Given) -> RefusedInput:
    """Why a path is no file of the database; of a table that is nearly one, the columns."""
    path = given.file.path
    fault = header_fault(database, path) if given.shape == "table" else None
    if fault is None:
        why = given.why or "its header is that of none of the label tables"
        fault = RefusedInput(
            f"{path.name} is not recognised as a file of {database.title}: {why}",
            fault="T08" if given.shape == "table" else "A23",
            phase="LIST",
            findings=[Finding(database.id, str(path), "not recognised", "a published file", why)],
        )
    fault.database, fault.hint = database.id, f"what is expected: aigiqa info {database.id}"
    return fault


def _demand_space(context: Context, supplies: Supplies) -> None:
    sizes = [path.stat().st_size for file in supplies.containers for path in file.paths if path.is_file()]
    context.root.demand_space(int(sum(sizes) * 1.25), 0)


def _complete_tables(obtained: Obtained, database: Database, supplies: Supplies) -> None:
    """A required label table that was not given, and lies in no container, is fetched."""
    if _suffices(choose_source(database, list(supplies.tables)), supplies):
        return
    here = {*supplies.tables, *_tables_inside(obtained.context, database, supplies)}
    if _suffices(choose_source(database, list(here)), supplies):
        return

    def get(asset: Asset) -> File:
        try:
            return obtained.installed_table(database, asset) or obtained.file(database, asset)
        except Fault as fault:
            fault.message = f"the label table {asset.name} was not given and could not be fetched: {fault.message}"
            raise

    supplies.tables |= label_tables(database, get, labels_only=not supplies.containers, here=here, opened=True)


def _suffices(source: LabelSource | None, supplies: Supplies) -> bool:
    """Labels of part of the images are enough only without images, and those that lack something never are."""
    if source is None or source.lacks:
        return False
    return source.partial is None or not supplies.containers


def _tables_inside(context: Context, database: Database, supplies: Supplies) -> set[str]:
    """Label assets whose published name is that of a member of a container."""
    names: set[str] = set()
    for file in supplies.containers:
        secret = passwords.declared(database)
        with passwords.explained(database, [file]), file.open(context.root.staging, secret) as archive:
            names |= {member.name.rpartition("/")[2] for member in archive.members}
    return {a.name for a in database.assets if a.role == "labels" and a.published_name.rpartition("/")[2] in names}
