"""Bringing some images of a database that is here with its labels: from the nearest source that has just these.

A kept archive, one that is made here, or one of which most is wanted is used whole, and so proven. Of a hub's folder
single files come, of a zip at a mirror its members by range requests. What comes so is unproven: nothing published
vouches for a single member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.errors import (
    Exit,
    Fault,
    Finding,
    IntegrityFault,
    MachineFault,
    RefusedInput,
    TemporaryFault,
    UsageFault,
)
from aigiqa_cli.installing import File, Options, Part, Supplies, install
from aigiqa_cli.installing.labelling import installed_tables
from aigiqa_cli.installing.parts import IN_PARTS
from aigiqa_cli.obtaining import Obtained
from aigiqa_cli.obtaining.hosts import automatic, to_be_had
from aigiqa_cli.obtaining.shares import shares
from aigiqa_cli.subsets.remote_zip import OnlyWhole, RemoteZip
from aigiqa_cli.subsets.tree import narrowing
from aigiqa_cli.transport.model import Again, Source, Wanted
from aigiqa_cli.transport.ranges import RemoteFile
from aigiqa_cli.transport.receive import gravest
from aigiqa_cli.transport.session import Session

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database
    from aigiqa_cli.store import Record

_WORTH_WHOLE = 2  # from half of the images on, the whole archive in one request is the better way, and proven
_ROUNDS = 2  # a file that is replaced while it is read is begun anew once
_NO_PARTS = ("N16", "N17")  # the host does not give out parts, or not so that they are known to be of one version
_OURS = ("S10", "S11", "M10", "N31")  # another mirror would not help


@dataclass
class Order:
    """What is to be brought: `chosen` image_ids, those of them that are `missing` (`anew` although they are here), by
    mirrors of `kind` ("" = all)."""

    context: Context
    database: Database
    record: Record
    chosen: Sequence[str]
    missing: Sequence[str]
    anew: bool = False
    kind: str = ""
    password: str = field(default="", repr=False)
    require_hashes: bool = False
    obtained: Obtained = field(init=False)

    def __post_init__(self) -> None:
        self.obtained = Obtained(self.context)

    @property
    def part(self) -> Part:
        """Added to what is here."""
        return Part(frozenset(self.missing), anew=frozenset(self.missing if self.anew else ()))

    @property
    def whole_part(self) -> Part:
        """The same where all that is wanted comes out of one proven archive, also what is here already."""
        here = {f.path.partition("/")[2] for f in self.record.files if f.path.startswith("images/")}
        return Part(frozenset(here.union(self.chosen)), keeps=False)

    @property
    def tables(self) -> dict[str, File]:
        return installed_tables(self.context.root.folder(self.database.id), self.database, self.record)

    def install(self, container: File, part: Part) -> None:
        supplies = Supplies([container], tables=self.tables)
        options = Options(require_hashes=self.require_hashes, part=part)
        manifest = self.context.manifest_bytes(self.database.id)
        install(self.context.root, self.database, manifest, supplies, options, self.context.reporter)


def bring(order: Order, *, keep_archives: bool = False) -> None:
    """Install the missing images beside what is here; the caller holds the lock of the database.

    Raises PersonNeeded (OnlyWhole) where a part cannot be had: the hint is the whole fetch. Else as `obtaining` and
    `install` do.
    """
    try:
        _bring(order)
    except Fault as fault:
        fault.database = fault.database or order.database.id
        again = "run the same command again" if isinstance(fault, TemporaryFault) else ""
        fault.hint = fault.hint or again or f"the whole database: {_whole(order)}"
        raise
    if keep_archives:
        order.obtained.keep_archives()
    order.obtained.drop()


def _bring(order: Order) -> None:
    assets = order.database.assets_of("images", "references")
    if len(assets) > 1:
        raise OnlyWhole(f"{order.database.title} is published in {len(assets)} archives; a part of it cannot be had")
    (asset,) = assets
    if kept := order.obtained.kept(asset):
        order.install(_with_password(kept, order), order.whole_part)
    elif not to_be_had(asset, order.kind) or _better_whole(order, asset):
        order.install(_with_password(_obtained_whole(order, asset), order), order.whole_part)
    elif order.require_hashes:
        proven = f"the whole of it is proven: {_whole(order)} --require-hashes"
        raise IntegrityFault(
            f"no published hash vouches for single images of {asset.published_name}, and --require-hashes is given",
            hint=proven if asset.accepted else "leave --require-hashes out to install them as unpinned",
            fault="M10",
            phase="PLAN",
        )
    elif asset.is_tree:
        _from_tree(order, asset)
    else:
        _demand_random_access(asset)
        _from_zip(order, asset)


def _whole(order: Order) -> str:
    return f"aigiqa fetch {order.database.id}"


def _with_password(file: File, order: Order) -> File:
    return replace(file, password=order.password)


def _better_whole(order: Order, asset: Asset) -> bool:
    """Also what is made on this machine. A folder's files come one by one in any case."""
    made = any(mirror.kind == "builtin" for mirror in asset.mirrors)
    return made or (not asset.is_tree and _WORTH_WHOLE * len(order.missing) > order.record.rows)


def _obtained_whole(order: Order, asset: Asset) -> File:
    size = asset.size or 0
    order.context.root.demand_space(2 * size, len(order.chosen))
    return order.obtained.file(order.database, asset, order.kind)


def _demand_random_access(asset: Asset) -> None:
    if asset.volumes:
        why = f"is published in {len(asset.volumes)} volumes"
    elif asset.format not in ("zip", "other"):
        why = f"is a {asset.format} archive"
    elif asset.nested:
        why = "holds archives"
    elif asset.password:
        why = "is encrypted"
    else:
        return
    raise OnlyWhole(f"{asset.published_name} {why}, which is read only as a whole: a part of it cannot be had")


def _from_tree(order: Order, asset: Asset) -> None:
    narrow = narrowing(order.database, order.tables, order.part, order.record, beside=True)
    if narrow is None:
        raise IntegrityFault(
            f"the label tables of {order.database.title} are not as they were installed",
            hint=f"aigiqa verify --repair {order.database.id}",
            fault="S10",
            phase="SCORES",
        )
    order.install(order.obtained.file(order.database, asset, order.kind, narrow), order.part)


def _from_zip(order: Order, asset: Asset) -> None:
    """Mirror after mirror, until one gives the members."""
    failures: list[tuple[str, Fault]] = []
    reporter, session = order.context.reporter, order.context.session
    for mirror in automatic(asset, order.kind, order.obtained.health):
        source = mirrors.source(mirror, session)
        if failures:
            reporter.note(session.redact(f"{asset.published_name}: {failures[-1][1].message}; trying {source.label}"))
        try:
            _from_mirror(order, asset, source)
        except Fault as fault:
            if isinstance(fault, MachineFault | UsageFault | OnlyWhole) or fault.fault in _OURS:
                raise
            failures.append((source.label, fault))
        else:
            return
    verdict = _verdict(asset, failures, session)
    if verdict.exit_code is Exit.PERSON and verdict.fault not in _NO_PARTS:
        verdict.shares = tuple(shares(order.database, asset, tried=True))
    raise verdict


def _from_mirror(order: Order, asset: Asset, source: Source) -> None:
    context = order.context
    about = Wanted(asset.published_name, asset.format, asset.bytes, asset.sha256, asset.accepted)
    for last in range(1, _ROUNDS + 1):
        remote = RemoteFile(about, source, context.session, context.reporter)
        name = asset.published_name
        container = RemoteZip(
            path=Path(name),
            origin=f"{source.label}{IN_PARTS}",
            published_name=name,
            remote=remote,
            database=order.database,
            reporter=context.reporter,
        )
        try:
            order.install(container, order.part)
        except Again as fault:
            if last == _ROUNDS:
                raise
            context.reporter.note(f"{source.label}: {fault.message}; it is read anew")
        else:
            moved = f"{remote.moved:,} of {remote.length:,} bytes of {name}"
            context.reporter.note(f"{source.label}: {moved} for {len(order.missing):,} images")
            return


def _verdict(asset: Asset, failures: list[tuple[str, Fault]], session: Session) -> Fault:
    """One fault for all mirrors; that of a single one is its own."""
    if len(failures) == 1:
        label, fault = failures[0]
        fault.mirror, fault.phase = fault.mirror or label, fault.phase or "FETCH"
        return fault
    refused = all(isinstance(fault, RefusedInput) for _, fault in failures)
    kind = RefusedInput if refused else gravest([fault for _, fault in failures])
    told = next((fault for _, fault in failures if isinstance(fault, kind)), failures[0][1])
    ids = {fault.fault for _, fault in failures if isinstance(fault, kind)}
    none = f"parts of {asset.published_name} are not to be had from any of its {len(failures)} mirrors"
    return kind(
        f"{none}: {session.redact(told.message)}",
        hint=told.hint,
        fault=told.fault if len(ids) <= 1 else "N22",
        phase="FETCH",
        findings=[
            *(Finding("", label, session.redact(fault.message)) for label, fault in failures),
            *told.findings,
        ],
    )
