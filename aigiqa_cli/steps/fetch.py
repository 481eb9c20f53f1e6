"""fetch: download, verify, unpack, normalise, index; everything, from whatever mirror works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aigiqa_cli import early, mirrors, root_index
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_bytes
from aigiqa_cli.errors import Exit, Fault, IntegrityFault, MachineFault, UsageFault
from aigiqa_cli.installing import File, Options, Part, Supplies, accepting, install, reusable
from aigiqa_cli.installing.labelling import installed_tables
from aigiqa_cli.installing.parts import is_whole
from aigiqa_cli.installing.splitting import split_assets
from aigiqa_cli.methods import published
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.obtaining.hosts import check_kind
from aigiqa_cli.obtaining.label_tables import label_sources, label_tables
from aigiqa_cli.obtaining.planning import planned
from aigiqa_cli.obtaining.repacks import asset_or_repack
from aigiqa_cli.obtaining.shares import shares
from aigiqa_cli.states import DAMAGED, State, present, state_of
from aigiqa_cli.store import Record, heal, is_prepared, locked, read_record
from aigiqa_cli.subsets import Selection, choose

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
    selection: Selection = field(default_factory=Selection)  # of the images; what is here stays
    stream: bool = False  # give back to the disk what is unpacked of an archive while it still arrives
    weights: bool = False  # also the published weights of the methods, which nothing else brings
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
    chosen: int | None = None  # images of the selection, where there is one
    weights: tuple[str, ...] = ()  # files

    @property
    def record(self) -> Record | None:
        return self.state.record


def fetch(context: Context, database: Database, request: Request) -> Fetched:
    """Install one database; does nothing if it is here and whole. Weights are no part of it: they come if asked for."""
    if request.weights:
        published.demand_weights(database)
    fetched = _fetch(context, database, request)
    if not request.weights or request.dry_run:
        return fetched
    found = published.fetch_all(context, database, require_hashes=request.require_hashes)
    return replace(fetched, weights=tuple(map(str, found)))


def _fetch(context: Context, database: Database, request: Request) -> Fetched:
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
        if request.selection:
            return _fetch_part(context, database, request)
        if not (request.force or request.rebuild) and _satisfied(context, database, request):
            _mend_root_index(context)
            return Fetched(database.id, folder, state_of(context.root, database.id, database), changed=False)
        left_out = tuple(_install(context, database, request))
    return Fetched(database.id, folder, state_of(context.root, database.id, database), changed=True, left_out=left_out)


def _fetch_part(context: Context, database: Database, request: Request) -> Fetched:
    """The labels first, by an install of their own: they say which images are wanted. Then just these, added to what
    is here."""
    from aigiqa_cli.subsets.bringing import Order, bring

    left_out: list[str] = []
    labels = replace(request, labels_only=True, selection=Selection(), force=False)
    changed = not _satisfied(context, database, labels)
    if changed:
        left_out = _install(context, database, labels)
    record = present(context.root, database.id)
    chosen = choose(context.root, record, request.selection)
    missing = chosen if request.force else _missing(record, chosen)
    if request.force and is_whole(record):
        raise UsageFault(
            f"{database.title} is installed whole: a part of it fetched anew would be less proven than it is",
            hint=f"aigiqa verify --repair {database.id}, or all of it: aigiqa fetch --force {database.id}",
            database=database.id,
            phase="PLAN",
        )
    if missing and len(chosen) == record.rows:
        _install(context, database, replace(request, selection=Selection()))
    elif missing:
        order = Order(
            context, database, record, chosen, missing, request.force, request.mirror, request.password,
            request.require_hashes,
        )  # fmt: skip
        bring(order, keep_archives=request.keep_archives)
    elif not changed:
        _mend_root_index(context)
    state = state_of(context.root, database.id, database)
    folder = str(context.root.folder(database.id))
    return Fetched(database.id, folder, state, changed or bool(missing), (), tuple(left_out), len(chosen))


def _missing(record: Record, chosen: Sequence[str]) -> list[str]:
    return [image_id for image_id in chosen if not record.files.has(f"images/{image_id}")]


def _mend_root_index(context: Context) -> None:
    """A run may have been killed after its commit, before the root index."""
    if root_index.check(context.root):
        root_index.rebuild(context.root, context.reporter)


def _satisfied(context: Context, database: Database, request: Request) -> bool:
    """Is what was asked for already here, made from this very manifest?"""
    state = state_of(context.root, database.id, database)
    record = state.record
    if record is None or state.word == DAMAGED:
        return False
    if record.manifest_sha256 != sha256_bytes(context.manifest_bytes(database.id)):
        return False
    if not request.labels_only and not is_whole(record):
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
    _demand_space(context, database, needed, streamed=request.stream)
    if request.mirror in mirrors.MANUAL:
        for asset in needed:
            _obtain(obtained, database, asset, request)  # kept here, or says at once what a person has to open
    _add_tables(obtained, database, supplies, request)
    if not needed and not request.labels_only:
        _add_tables_from_inside(context, database, supplies)
    left_out = _add_splits(obtained, database, supplies, request) if request.splits else []
    rest = _rest_of_a_folder(obtained, database, needed, supplies, request)
    if rest is not None or not _installed_while_arriving(obtained, database, needed, supplies, request):
        if request.stream and any(asset.is_archive for asset in needed):
            context.reporter.note("not unpacked while it arrives: there must be room for the archive and the images")
            _demand_space(context, database, needed)
        for asset in needed if rest is None else ():
            file = _obtain(obtained, database, asset, request)
            supplies.containers.append(replace(file, password=request.password))
        _install_what_is_here(context, database, needed, supplies, request, rest)
    if request.keep_archives:
        obtained.keep_archives()
    obtained.drop()
    return left_out


def _install_what_is_here(
    context: Context, database: Database, needed: list[Asset], supplies: Supplies, request: Request, rest: File | None
) -> None:
    """`rest`: what was missing of a folder, to be added to the installed images."""
    if rest is not None:
        supplies.containers.append(rest)
    options = Options(request.labels_only, request.require_hashes, part=None if rest is None else Part(None))
    try:
        install(context.root, database, context.manifest_bytes(database.id), supplies, options, context.reporter)
    except IntegrityFault as fault:
        if fault.fault != NO_HASH:  # no share brings one
            fault.shares = tuple(share for asset in needed if asset.is_archive for share in shares(database, asset))
        raise


def _obtain(obtained: Obtained, database: Database, asset: Asset, request: Request) -> File:
    return asset_or_repack(
        obtained,
        database,
        asset,
        mirror=request.mirror,
        require_hashes=request.require_hashes,
        force=request.force,
    )


def _installed_while_arriving(
    obtained: Obtained, database: Database, needed: list[Asset], supplies: Supplies, request: Request
) -> bool:
    """Unpack the one archive while it is still being downloaded, where that can be. False: nothing was installed."""
    if len(needed) != 1 or request.password or (request.require_hashes and not needed[0].accepted):
        return False
    context = obtained.context
    try:
        file = obtained.arriving(database, needed[0], request.mirror, keep=request.keep_archives, once=request.stream)
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
        if is_prepared(context.root, database.id):  # all was unpacked and proven
            obtained.call_off()
            raise
        if lost := obtained.lost(fault):
            obtained.call_off()
            lost.database = database.id
            lost.hint = lost.hint or "without --stream it is judged as a whole, and goes on where it stopped"
            raise lost from None
        context.reporter.detail(f"while it arrived: {fault.message}")
        return False
    except BaseException:
        obtained.call_off()
        raise
    obtained.arrived(needed[0])
    return True


def _rest_of_a_folder(
    obtained: Obtained, database: Database, needed: list[Asset], supplies: Supplies, request: Request
) -> File | None:
    """Of a hub's folder of which some images are here the others; None where it has to come whole, or does not come."""
    record = reusable(obtained.context.root, database)
    if request.force or record is None or [asset.is_tree for asset in needed] != [True]:
        return None
    from aigiqa_cli.subsets.tree import only_missing

    narrowed = only_missing(database, supplies.tables, record)
    try:
        return obtained.file(database, needed[0], request.mirror, narrowed) if narrowed else None
    except Fault as fault:
        if fault.exit_code not in (Exit.PERSON, Exit.INTEGRITY):
            raise
        obtained.context.reporter.note(fault.message)
        return None


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
    tables = installed_tables(context.root.folder(database.id), database, record) if record else {}
    supplies.tables = {n: file for n, file in tables.items() if not database.asset(n).mirrors} | supplies.tables


def _archives_needed(context: Context, database: Database, request: Request) -> list[Asset]:
    """The image assets, unless the installed images are those of this manifest."""
    if request.labels_only:
        return []
    record = None if request.force else reusable(context.root, database)
    if record is not None and (is_whole(record) or request.rebuild):
        return []
    return list(database.assets_of("images", "references"))


def _demand_space(context: Context, database: Database, needed: list[Asset], *, streamed: bool = False) -> None:
    archives = sum(asset.size or 0 for asset in needed)
    unpacked = int(archives * UNPACKED_PER_ARCHIVE_BYTE)
    at_once = min(archives, early.WINDOW) if streamed else archives
    context.root.demand_space(at_once + unpacked, database.expect.images[1] if needed else 0)


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
    first = replace(request, labels_only=True, selection=Selection()) if request.selection else request
    here = not first.force and _satisfied(context, database, first)
    count = _planned_images(context, database, request, labels_here=here) if request.selection else None
    if here and not count and not request.weights:
        return []
    sources = label_sources(database, labels_only=first.labels_only, require_hashes=request.require_hashes)[:1]
    tables = [] if here else [database.asset(name) for source in sources for name in source.needs]
    needed = [asset for asset in tables if asset.mirrors] + _archives_needed(context, database, request)
    if request.splits:
        needed += [asset for split in database.splits for asset in split_assets(split)]
    needed += published.weights_of(database) if request.weights else []
    return planned(context.root, database, needed, request.mirror, count)


def _planned_images(context: Context, database: Database, request: Request, *, labels_here: bool) -> int:
    """How many images a selection would bring; as many as it may be where the labels do not tell yet."""
    if labels_here:
        record = present(context.root, database.id)
        chosen = choose(context.root, record, request.selection)
        return len(chosen if request.force else _missing(record, chosen))
    wished = request.selection
    bounds = [wished.sample, None if wished.images is None else len(wished.images), database.expect.images[1]]
    return min(bound for bound in bounds if bound is not None)
