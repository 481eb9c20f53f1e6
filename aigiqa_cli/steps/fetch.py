"""fetch: download, verify, unpack, normalise, index; everything, from whatever mirror works."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes, sha256_file
from aigiqa_cli.errors import Exit, Fault, IntegrityFault, MachineFault
from aigiqa_cli.installing import File, Options, Supplies, accepting, install, reusable, root_index
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.obtaining import Obtained, automatic, check_kind, label_sources, label_tables, shares, to_be_had
from aigiqa_cli.states import DAMAGED, INSTALLED, State, state_of
from aigiqa_cli.store import Record, heal, locked, read_record
from aigiqa_cli.store.ledger import read_ledger

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

NO_HASH = "M10"
UNPACKED_PER_ARCHIVE_BYTE = 1.25  # images hardly compress; the check is there to fail early, not to be exact


@dataclass(frozen=True)
class Request:
    """The options of `fetch`."""

    labels_only: bool = False
    splits: bool = False
    mirror: str = ""
    dry_run: bool = False
    keep_archives: bool = False
    require_hashes: bool = False
    force: bool = False
    password: str = field(default="", repr=False)  # of the archives
    accept: str = ""  # SHA-256 that the person vouches for, from now on
    rebuild: bool = False  # build everything anew but the images, if those of the installed version fit


@dataclass(frozen=True)
class Fetched:
    """What came of it: the folder, whether anything had to be done, the plan of a dry run, and the published split
    files that could not be had."""

    database: str
    folder: str
    state: State
    changed: bool
    plan: tuple[dict[str, Any], ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def record(self) -> Record | None:
        return self.state.record


def fetch(context: Context, database: Database, request: Request) -> Fetched:
    """Install one database; does nothing if it is here and whole."""
    check_kind(database, request.mirror)
    if request.accept and not request.dry_run:
        context.root.prepare()
        accepting.accept(context.root, database.id, request.accept)
    database = accepting.with_accepted(context.root, database)
    folder = str(context.root.folder(database.id))
    if request.dry_run:
        plan = tuple(_plan(context, database, request))
        return Fetched(database.id, folder, state_of(context.root, database.id, database), changed=False, plan=plan)
    context.root.prepare()
    with locked(context.root, database.id, context.reporter):
        heal(context.root, database.id)
        if not (request.force or request.rebuild) and _satisfied(context, database, request):
            if root_index.check(context.root):  # a run may have been killed after its commit, before the root index
                root_index.rebuild(context.root, context.reporter)
            return Fetched(database.id, folder, state_of(context.root, database.id, database), changed=False)
        left_out = tuple(_install(context, database, request))
    return Fetched(database.id, folder, state_of(context.root, database.id, database), changed=True, left_out=left_out)


def _satisfied(context: Context, database: Database, request: Request) -> bool:
    """Is what was asked for already here, made from this very manifest?"""
    state = state_of(context.root, database.id, database)
    record = state.record
    if record is None or state.word == DAMAGED:
        return False
    if record.manifest_sha256 != sha256_bytes(context.manifest_bytes(database.id)):
        return False
    if not request.labels_only and record.state != INSTALLED:
        return False
    unproven = (*record.unpinned, *record.local)
    if request.require_hashes and unproven:
        raise IntegrityFault(
            f"{database.title} is installed, but no published hash vouches for {', '.join(unproven)}",
            hint=f"aigiqa fetch --force --require-hashes {database.id}",
            database=database.id,
            phase="CHECK",
        )
    return not request.splits or not _split_files_missing(database, record)


def _split_files_missing(database: Database, record: Record) -> bool:
    held = {source.asset for source in record.sources if source.role == "split"}
    return any(asset.name not in held for split in database.splits for asset in split_assets(split))


def _install(context: Context, database: Database, request: Request) -> list[str]:
    obtained = Obtained(context)
    supplies = Supplies()
    needed = _archives_needed(context, database, request)
    _demand_space(context, database, needed)
    if request.mirror in mirrors.MANUAL:
        for asset in needed:
            _obtain(obtained, database, asset, request)  # kept here, or says at once what a person has to open
    _add_tables(obtained, database, supplies, request)
    if not needed and not request.labels_only:
        _add_tables_from_inside(context, database, supplies)
    left_out = _add_splits(obtained, database, supplies, request) if request.splits else []
    if not _installed_while_arriving(obtained, database, needed, supplies, request):
        for asset in needed:
            file = _obtain(obtained, database, asset, request)
            supplies.containers.append(replace(file, password=request.password))
        options = Options(request.labels_only, request.require_hashes)
        try:
            install(context.root, database, context.manifest_bytes(database.id), supplies, options, context.reporter)
        except IntegrityFault as fault:
            if fault.fault != NO_HASH:  # no share brings one
                fault.shares = tuple(share for asset in needed if asset.is_archive for share in shares(database, asset))
            raise
    if request.keep_archives:
        obtained.keep_archives()
    obtained.drop()
    return left_out


def _installed_while_arriving(
    obtained: Obtained, database: Database, needed: list[Asset], supplies: Supplies, request: Request
) -> bool:
    """Unpack the one archive while it is still being downloaded, where that can be. False: nothing was installed."""
    if len(needed) != 1 or request.password or (request.require_hashes and not needed[0].accepted):
        return False
    context = obtained.context
    try:
        file = obtained.arriving(database, needed[0], request.mirror, keep=request.keep_archives)
        if file is None or file.arriving is None:
            return False
        together = replace(supplies, containers=[file])
        options = Options(request.labels_only, request.require_hashes)
        manifest = context.manifest_bytes(database.id)
        install(context.root, database, manifest, together, options, file.arriving.beside(context.reporter))
    except MachineFault:
        obtained.call_off()
        raise
    except Fault as fault:  # from the whole file it is told in full
        context.reporter.detail(f"while it arrived: {fault.message}")
        return False
    except BaseException:
        obtained.call_off()
        raise
    obtained.arrived(needed[0])
    return True


def _add_tables(obtained: Obtained, database: Database, supplies: Supplies, request: Request) -> None:
    """The label tables come first: they are small, and without them the images are worth nothing."""
    supplies.tables |= label_tables(
        database,
        lambda asset: _obtain(obtained, database, asset, request),
        labels_only=request.labels_only,
        require_hashes=request.require_hashes,
    )


def _add_tables_from_inside(context: Context, database: Database, supplies: Supplies) -> None:
    """Tables that are published only inside the image archive, which is not opened again: as they are installed."""
    record = read_record(context.root, database.id)
    for source in record.sources if record else ():
        asset = next((a for a in database.label_tables if a.name == source.asset and not a.mirrors), None)
        path = context.root.folder(database.id) / "labels" / (asset.published_name if asset else "")
        if asset is not None and path.is_file() and (found := sha256_file(path))[0] == source.sha256:
            supplies.tables.setdefault(asset.name, File(path, source.origin, found, asset.published_name))


def _archives_needed(context: Context, database: Database, request: Request) -> list[Asset]:
    """The image assets, unless the installed images are those of this manifest."""
    if request.labels_only:
        return []
    if not request.force and reusable(context.root, database):
        return []
    return list(database.assets_of("images", "references"))


def _demand_space(context: Context, database: Database, needed: list[Asset]) -> None:
    archives = sum(asset.size or 0 for asset in needed)
    unpacked = int(archives * UNPACKED_PER_ARCHIVE_BYTE)
    context.root.demand_space(archives + unpacked, database.expect.images[1] if needed else 0)


def _obtain(obtained: Obtained, database: Database, asset: Asset, request: Request) -> File:
    """The asset; if every mirror of it is gone or wrong, or hashes are required and it has none, a repack that a
    published hash vouches for."""
    installed = obtained.installed_table(database, asset)
    if installed is not None and not request.force:
        return installed
    if request.require_hashes and not asset.accepted and not request.mirror:
        file = _from_repack(obtained, database, asset, "has no published hash")
        if file is not None:
            return file
    try:
        return obtained.file(database, asset, request.mirror)
    except Fault as fault:
        if fault.exit_code not in (Exit.PERSON, Exit.INTEGRITY) or request.mirror:
            raise
        file = _from_repack(obtained, database, asset, "is not to be had")
        if file is None:
            raise
        return file


def _from_repack(obtained: Obtained, database: Database, asset: Asset, why: str) -> File | None:
    for repack in _repacks(database, asset):
        try:
            obtained.context.reporter.note(f"{asset.published_name} {why}; trying {repack.name}")
            return obtained.file(database, repack)
        except Fault as second:
            obtained.context.reporter.note(second.message)
    return None


def _repacks(database: Database, asset: Asset) -> list[Asset]:
    return [
        other
        for other in database.assets
        if other.substitutes == asset.name and to_be_had(other) and _may_stand_in(asset, other)
    ]


def _may_stand_in(asset: Asset, repack: Asset) -> bool:
    """An archive by its published hash. For a folder of single files there is none: it stands in only where the
    content hash judges what came out of it, or for another folder, which nothing more vouches for."""
    if repack.is_tree:
        return bool(asset.is_tree or asset.content_sha256)
    return bool((repack.sha256 or repack.volumes) and repack.is_archive)


def _add_splits(obtained: Obtained, database: Database, supplies: Supplies, request: Request) -> list[str]:
    """Published split files are extras: those that cannot be had are reported, one line a split, and left out."""
    left_out = []
    for split in database.splits:
        failures: list[Fault] = []
        assets = list(split_assets(split))
        for asset in assets:
            try:
                supplies.split_files[asset.name] = obtained.file(database, asset, request.mirror)
            except Fault as fault:
                if fault.exit_code is Exit.MACHINE:
                    raise
                failures.append(fault)
                left_out.append(asset.name)
        if failures:
            count = f"{len(failures)} of {len(assets)} files are not to be had"
            obtained.context.reporter.note(f"split {split.name}: {count}: {failures[0].message}")
    return left_out


def _plan(context: Context, database: Database, request: Request) -> list[dict[str, Any]]:
    """What a fetch would download, from where, and how large it is."""
    if not request.force and _satisfied(context, database, request):
        return []
    sources = label_sources(database, labels_only=request.labels_only, require_hashes=request.require_hashes)[:1]
    needed = [database.asset(name) for source in sources for name in source.needs if database.asset(name).mirrors]
    needed += _archives_needed(context, database, request)
    if request.splits:
        needed += [asset for split in database.splits for asset in split_assets(split)]
    known = read_ledger(context.root)
    return [
        {
            "asset": asset.name,
            "role": asset.role,
            "bytes": asset.size,
            "approximate_size": asset.approximate_size if asset.size is None else "",
            "sha256": asset.sha256 or None,
            "mirrors": [
                mirrors.label(mirror) for part in asset.parts for mirror in automatic(part, request.mirror, known)
            ],
            "by_hand": [share.url for share in shares(database, asset) if share.kind in mirrors.MANUAL],
        }
        for asset in needed
    ]
