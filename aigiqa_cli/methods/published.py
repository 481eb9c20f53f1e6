"""Published ImageNet weights as files: those that manifests name, and those of the Hugging Face Hub.

They are below `.aigiqa/weights/`, and only training and `fetch --weights` bring them there. No PyTorch here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import folders, mirrors
from aigiqa_cli.context import Context
from aigiqa_cli.digests import sha256_file
from aigiqa_cli.errors import IntegrityFault, PersonNeeded, TemporaryFault, UsageFault
from aigiqa_cli.methods.backbones import Backbone
from aigiqa_cli.obtaining import wanted
from aigiqa_cli.obtaining.hosts import automatic, to_be_had
from aigiqa_cli.obtaining.shares import shares
from aigiqa_cli.store import fsync_folder
from aigiqa_cli.transport.receive import receive

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database

MANIFEST, HUB = "manifest", "hub"
WORDS = (MANIFEST, HUB)
ROLE = "weights"
_FILE = "model.safetensors"  # as timm publishes every model


def obtain(context: Context, backbone: Backbone, word: str) -> Path:
    """The file with the weights of a backbone, fetched if it is not here: the very one that the authors' code loads
    (`manifest`), or timm's (`hub`).

    Raises PersonNeeded where nothing says where it is, else as every fetch does.
    """
    if word == HUB:
        return _fetched(context, _of_the_hub(context, backbone))
    found = _named(context, backbone)
    if found is None:
        raise PersonNeeded(
            f"no manifest here names the file that {backbone.name} begins with",
            hint="--weights hub: those of timm; --weights FILE: a file of yours; --weights none",
            phase="PLAN",
        )
    return _fetched(context, found[1], found[0])


def weights_of(database: Database) -> list[Asset]:
    """What of its weights can be fetched without a person."""
    return [asset for asset in database.assets if asset.role == ROLE and to_be_had(asset)]


def demand_weights(database: Database) -> list[Asset]:
    """The same. Raises UsageFault if there are none."""
    found = weights_of(database)
    if not found:
        raise UsageFault(
            f"the manifest of {database.id} names no weights",
            hint="leave out --weights",
            database=database.id,
            phase="PLAN",
        )
    return found


def fetch_all(context: Context, database: Database, *, require_hashes: bool = False) -> tuple[Path, ...]:
    """Every file of weights that the manifest names and that needs no person.

    Raises UsageFault if it names none; IntegrityFault where hashes are required and one is not stated in full.
    """
    found = demand_weights(database)
    unproven = [asset.name for asset in found if not asset.accepted]
    if require_hashes and unproven:
        raise IntegrityFault(
            f"no published hash vouches for {', '.join(unproven)}", hint="without --require-hashes", fault="M10"
        )
    return tuple(_fetched(context, asset, database) for asset in found)


def _named(context: Context, backbone: Backbone) -> tuple[Database, Asset] | None:
    """The asset of that file name in whatever manifest names it."""
    for database in context.catalogue.databases():
        for asset in weights_of(database):
            if asset.name == backbone.weights:
                return database, asset
    return None


def _of_the_hub(context: Context, backbone: Backbone) -> Asset:
    from aigiqa_cli.manifest.models import Asset, Mirror
    from aigiqa_cli.mirrors.huggingface import endpoint_of

    url = f"{endpoint_of(context.session)}/{backbone.hub}/resolve/main/{_FILE}"
    name = f"{backbone.hub.rpartition('/')[2]}.safetensors"
    return Asset(name=name, role=ROLE, format="other", mirrors=(Mirror(kind="http", url=url),))


def _fetched(context: Context, asset: Asset, database: Database | None = None) -> Path:
    """The file of an asset below the root: what is here and proven is not fetched again."""
    folder = context.root.weights
    path = folder / asset.name
    if path.is_file() and wanted(asset).is_proven(sha256_file(path)[0]) is not False:
        return path
    context.root.prepare()
    sources = [mirrors.source(mirror, context.session) for mirror in automatic(asset)]
    try:
        got = receive(wanted(asset), sources, context.root.partial, context.session, context.reporter)
    except (PersonNeeded, TemporaryFault) as fault:
        fault.shares = tuple(shares(database, asset)) if database else ()
        fault.hint = f"{fault.hint or 'try again later'}; or --weights FILE, a file of yours, or --weights none"
        raise
    folders.make(folder, exist_ok=True)
    folders.rename(got.path, path)
    fsync_folder(folder)
    got.discard()
    return path
