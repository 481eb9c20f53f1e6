"""import: the same as fetch, from what a person has. Files are read in place, never moved, changed or linked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, PersonNeeded, RefusedInput
from aigiqa_cli.installing import File, Options, Supplies, accepting, install, passwords, split_sets
from aigiqa_cli.installing.belonging import OWN, Evidence, examine, settle
from aigiqa_cli.installing.labelling import choose_source, plain_name
from aigiqa_cli.installing.matching import image_names, is_image_of
from aigiqa_cli.installing.recognising import Given, entries, header_fault, holds_pictures, look, sort_into
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.obtaining.label_tables import label_sources, label_tables
from aigiqa_cli.states import State, state_of
from aigiqa_cli.store import heal, locked, staged

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
    """What was given, by database; what belongs nowhere, with the reason; and what could not be read, though it may
    hold the images of one of them."""

    databases: dict[str, list[Given]] = field(default_factory=dict)
    skipped: list[Finding] = field(default_factory=list)
    broken: list[Fault] = field(default_factory=list)

    def waiting(self, name: str) -> Fault | None:
        """Why not to install labels alone: something beside them was to be opened first."""
        bare = all(given.shape != "container" for given in self.databases[name])
        return self.broken[0] if bare and self.broken else None


def sort_paths(context: Context, paths: Sequence[Path], password: str = "") -> Sorted:
    """Find out to which database each path belongs. Raises RefusedInput if none belongs anywhere."""
    context.root.prepare()
    known = list(_readable(context))
    result = Sorted()
    found: list[Evidence] = []
    taken: set[Path] = set()
    queue, spread = list(paths), set[Path]()
    while queue:
        path = queue.pop(0)
        if path.resolve() in taken:  # a volume of a set that was found already
            continue
        try:
            given = look(path, paths, password)
            taken |= {volume.resolve() for volume in given.file.paths}
            inside = entries(path) if path not in spread else []
            with staged(context.root, "sorting") as work, passwords.explained(known, [given.file]):
                evidence = examine(known, given, work, outside=bool(inside))
        except (RefusedInput, PersonNeeded, IntegrityFault) as fault:
            result.broken.append(fault)
            result.skipped.append(Finding("", str(path), fault.message))
            continue
        inside = inside if evidence.owner is None else []
        spread |= set(inside)
        queue[:0] = inside
        if not inside:
            found.append(evidence)
    settle(known, found)
    for evidence in found:
        _put(context, result, evidence)
    if not result.databases:
        raise _nothing(result)
    return result


def _put(context: Context, result: Sorted, evidence: Evidence) -> None:
    path = evidence.given.file.path
    if evidence.owner is None:
        why = evidence.given.why or "it fits no known database by hash, member names or table header"
        result.skipped.append(Finding("", str(path), f"not recognised: {why}"))
        return
    result.databases.setdefault(evidence.owner.id, []).append(evidence.given)
    context.reporter.note(f"{evidence.given.file.name}: {evidence.what} of {evidence.owner.title}")


def _nothing(result: Sorted) -> Fault:
    """Nothing is known: of what is broken, how; else how to name the database."""
    if result.broken and len(result.skipped) == len(result.broken):
        return result.broken[0]
    return RefusedInput(
        f"nothing was recognised: {result.skipped[0].path}: {result.skipped[0].problem}",
        hint="name the database: aigiqa import DB PATH (ids: aigiqa list -q)",
        fault="A23",
        phase="LIST",
        findings=result.skipped,
    )


def _readable(context: Context) -> Iterator[Database]:
    """Every database whose manifest can be read; one broken file must not stop the others."""
    for entry in context.catalogue.entries.values():
        try:
            yield context.catalogue.load(entry)
        except RefusedInput as fault:
            context.reporter.note(f"{entry.id} is passed over: {fault.message}; see aigiqa lint {entry.path}")


def import_paths(context: Context, database: Database, paths: Sequence[Path | Given], options: Options) -> Imported:
    """Install one database from these paths, which add up to one install."""
    context.root.prepare()
    if options.accept:
        accepting.accept(context.root, database.id, options.accept)
    database = accepting.with_accepted(context.root, database)
    supplies = Supplies()
    last: Given | None = None
    for given in _looked_at(context, database, paths, options.password):
        split_sets.check(database, given.file)
        if given.shape == "junk":
            context.reporter.note(f"{given.file.path.name} is passed over: {given.why}")
        elif not sort_into(database, given, supplies):
            raise _unrecognised(database, given)
        last = given
    if supplies == Supplies():
        raise _unrecognised(database, last) if last else _nothing_inside(database, paths)
    with locked(context.root, database.id, context.reporter):
        heal(context.root, database.id)
        _demand_space(context, supplies)
        obtained = Obtained(context)
        pictures = _complete_tables(obtained, database, supplies, require_hashes=options.require_hashes)
        chosen = Options(not pictures or options.labels_only, options.require_hashes)
        install(context.root, database, context.manifest_bytes(database.id), supplies, chosen, context.reporter)
        obtained.drop()
    folder = str(context.root.folder(database.id))
    return Imported(database.id, folder, state_of(context.root, database.id, database))


def _looked_at(context: Context, database: Database, paths: Sequence[Path | Given], password: str) -> Iterator[Given]:
    """What each path is; the volumes of a split archive are one thing, and a folder of downloads is what lies in it."""
    others = [path for path in paths if isinstance(path, Path)]
    taken: set[Path] = set()
    queue, spread = list(paths), set[Path]()
    while queue:
        path = queue.pop(0)
        if (path if isinstance(path, Path) else path.file.path).resolve() in taken:
            continue
        lies_in_folder = isinstance(path, Path) and path in spread
        try:
            given = look(path, others, password) if isinstance(path, Path) else path
        except RefusedInput as fault:
            if not lies_in_folder:
                raise
            context.reporter.note(f"passed over: {fault.message}")
            continue
        taken |= {volume.resolve() for volume in given.file.paths}
        inside = entries(given.file.path) if given.file.path not in spread else []
        if inside and not _has_images(context, database, given.file):
            spread |= set(inside)
            queue[:0] = inside
        elif lies_in_folder and not _concerns(context, database, given):
            context.reporter.note(f"{given.file.name} is passed over: it is nothing of {database.title}")
        else:
            yield replace(given, file=replace(given.file, password=given.file.password or password))


def _concerns(context: Context, database: Database, given: Given) -> bool:
    """Is what merely lies in a folder of downloads of this database?"""
    if given.shape == "junk":
        return True
    with staged(context.root, "sorting") as work, passwords.explained([database], [given.file]):
        evidence = examine([database], given, work)
    part = evidence.pictures and evidence.counts.get(database.id, 0) >= OWN * evidence.pictures
    return evidence.owner is not None or bool(part)


def _has_images(context: Context, database: Database, file: File) -> bool:
    with file.open(context.root.staging) as archive:
        return any(is_image_of(database, name) for name in image_names(archive))


def _unrecognised(database: Database, given: Given) -> RefusedInput:
    """Why a path is no file of the database; of a table that is nearly one, the columns."""
    path = given.file.path
    fault = header_fault(database, path) if given.shape == "table" else None
    if fault is None:
        named = next((a for a in database.label_tables if plain_name(a.published_name) == plain_name(path.name)), None)
        why = given.why or "its header is that of none of the label tables"
        if named is not None and named.sha256:
            why = f"it has the name of {named.published_name}, and neither its header nor its published hash"
        fault = RefusedInput(
            f"{path.name} is not recognised as a file of {database.title}: {why}",
            fault="T08" if given.shape == "table" else "A23",
            phase="LIST",
            findings=[Finding(database.id, str(path), "not recognised", "a published file", why)],
        )
    fault.database, fault.hint = database.id, f"what is expected: aigiqa info {database.id}"
    return fault


def _nothing_inside(database: Database, paths: Sequence[Path | Given]) -> RefusedInput:
    places = [str(path if isinstance(path, Path) else path.file.path) for path in paths]
    return RefusedInput(
        f"{', '.join(places)} holds nothing of {database.title}",
        hint=f"what is expected: aigiqa info {database.id}",
        fault="A23",
        database=database.id,
        phase="LIST",
        findings=[Finding(database.id, place, "not recognised", "a published file") for place in places],
    )


def _foreign(database: Database, containers: Sequence[File]) -> RefusedInput:
    names = ", ".join(file.name for file in containers)
    return RefusedInput(
        f"{names} holds nothing of {database.title}: neither an image nor a label table has a name of it",
        hint=f"what is expected: aigiqa info {database.id}",
        fault="A23",
        database=database.id,
        phase="LIST",
        findings=[Finding(database.id, str(file.path), "not recognised", "images or labels") for file in containers],
    )


def _demand_space(context: Context, supplies: Supplies) -> None:
    sizes = [path.stat().st_size for file in supplies.containers for path in file.paths if path.is_file()]
    context.root.demand_space(int(sum(sizes) * 1.25), 0)


def _complete_tables(obtained: Obtained, database: Database, supplies: Supplies, *, require_hashes: bool) -> bool:
    """A required label table that was not given, and lies in no container, is fetched.

    Returns whether the containers may hold images; those of label tables alone are set apart.
    """
    pictures = bool(supplies.containers)
    enough = _suffices(choose_source(database, list(supplies.tables)), pictures=pictures)
    if enough and len(supplies.containers) <= 1:
        return pictures
    inside = _set_table_holders_apart(obtained.context, database, supplies)
    pictures = bool(supplies.containers)
    if enough:
        return pictures
    here = {*supplies.tables, *inside}
    if _suffices(choose_source(database, list(here)), pictures=pictures):
        return pictures

    def get(asset: Asset) -> File:
        try:
            return obtained.installed_table(database, asset) or obtained.file(database, asset)
        except Fault as fault:
            _name_what_is_missing(fault, database, asset, here, supplies, pictures=pictures)
            raise

    supplies.tables |= label_tables(
        database, get, labels_only=not pictures, here=here, opened=True, require_hashes=require_hashes
    )
    return pictures


def _name_what_is_missing(
    fault: Fault, database: Database, asset: Asset, here: set[str], supplies: Supplies, *, pictures: bool
) -> None:
    """All tables that are still needed at once, and the next command with what was given already."""
    source = next((s for s in label_sources(database, labels_only=not pictures, here=here, opened=True)), None)
    needed = [name for name in (source.needs if source else ()) if name not in here] or [asset.name]
    names = [database.asset(name).published_name for name in needed]
    kind, verb = ("table", "was") if len(names) == 1 else ("tables", "were")
    fault.message = f"the label {kind} {', '.join(names)} {verb} not given, and could not be fetched: {fault.message}"
    given = [str(path) for file in (*supplies.containers, *supplies.tables.values()) for path in file.paths[:1]]
    words = ["aigiqa", "import", database.id, *given, *(f"~/Downloads/{PurePosixPath(name).name}" for name in names)]
    line = " ".join(word if word.startswith("~/") else shlex.quote(word) for word in words)
    fault.shares = tuple(replace(share, next=line) for share in fault.shares)
    fault.hint = line


def _suffices(source: LabelSource | None, *, pictures: bool) -> bool:
    """Labels of part of the images are enough only without images, and those that lack something never are."""
    if source is None or source.lacks:
        return False
    return source.partial is None or not pictures


def _set_table_holders_apart(context: Context, database: Database, supplies: Supplies) -> set[str]:
    """Label assets whose published name is that of a member of a container. Containers with such members and without
    images become table holders. Raises RefusedInput if there is nothing of the database in any."""
    inside: set[str] = set()
    pictures = False
    for file in tuple(supplies.containers):
        secret = passwords.declared(database)
        with passwords.explained([database], [file]), file.open(context.root.staging, secret) as archive:
            names = {member.name.rpartition("/")[2] for member in archive.members}
            holds = holds_pictures(database, archive)
        held = {a.name for a in database.label_tables if a.published_name.rpartition("/")[2] in names}
        inside |= held
        pictures = pictures or holds
        if held and not holds:
            supplies.containers.remove(file)
            supplies.table_holders.append(file)
    if supplies.containers and not (pictures or inside):
        raise _foreign(database, supplies.containers)
    return inside
