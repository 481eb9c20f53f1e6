"""How to get it: every file, and every mirror with its link, its code, and what is known of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page, Parts
from aigiqa_cli.cli.profile.portrait import Portrait, address, automatic, down, health, proof, role
from aigiqa_cli.cli.terminal import human_bytes, size_in_words
from aigiqa_cli.store.ledger import DEAD

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Mirror


def show(page: Page, portrait: Portrait, *, everything: bool) -> None:
    known = portrait.known
    page.heading("How to get it")
    _ways(page, portrait)
    main = [asset for asset in known.assets if not (asset.substitutes or asset.optional) and asset.every_mirror]
    enclosed = [asset for asset in known.assets if not asset.every_mirror]
    others = [asset for asset in known.assets if asset not in main and asset not in enclosed]
    for asset in main:
        _asset(page, portrait, asset, everything=everything)
    _enclosed(page, enclosed, everything=everything)
    if others:
        page.blank()
        page.parts([("Copies and extras", "bold"), ("  none of them is needed", "dim")], 2)
    for asset in others:
        if everything:
            _asset(page, portrait, asset, everything=True)
        else:
            _briefly(page, portrait, asset)


def _ways(page: Page, portrait: Portrait) -> None:
    name = portrait.known.id
    size = "size not known" if portrait.size == "?" else portrait.size
    if portrait.automatic:
        page.parts(
            [(f"aigiqa fetch {name}", "bold green"), (f"  {size}, from {', '.join(portrait.automatic)}", "")], 2, 4
        )
    else:
        watch = f"aigiqa fetch {name} --watch ~/Downloads"
        page.parts([(watch, "bold green"), ("  shows the links, waits for the file and goes on by itself", "")], 2, 4)
    page.parts([(f"aigiqa import {name} PATH", "bold green"), ("  from what you have already", "")], 2, 4)


def _asset(page: Page, portrait: Portrait, asset: Asset, *, everything: bool) -> None:
    page.blank()
    page.parts([(asset.name, "bold"), *_what(asset)], 2, 4)
    if asset.file:
        page.text(f"published as {asset.file}", 4)
    if not asset.is_tree:
        page.text("no published hash" if proof(asset) == "unpinned" else f"SHA-256 {proof(asset)}", 4, "dim")
    if asset.password:
        page.parts([("password of the archive  ", "dim"), (asset.password, "bold")], 4)
    if asset.note:
        page.text(asset.note, 4)
    if everything:
        _fine_print(page, asset)
    for part in asset.parts:
        if part is not asset:
            page.parts([(part.name, "bold"), (f"  {human_bytes(part.bytes or 0)}", "")], 4)
            page.text(f"SHA-256 {part.accepted[0]}", 6, "dim")
        for mirror in part.mirrors:
            _mirror(page, portrait, asset, mirror, 4, everything=everything)


def _what(asset: Asset) -> Parts:
    size = size_in_words(asset.size, asset.approximate_size)
    what = [role(asset), "a folder" if asset.is_tree else asset.format if asset.format != "other" else ""]
    what += ["" if size == "?" else size, "optional" if asset.optional and not asset.substitutes else ""]
    return [("  " + ", ".join(word for word in what if word), "")]


def _fine_print(page: Page, asset: Asset) -> None:
    if asset.content_sha256:
        page.text(f"content SHA-256 {asset.content_sha256}", 4, "dim")
    for twin in asset.twins:
        page.text(f"also right: {human_bytes(twin.bytes)}, SHA-256 {twin.sha256}", 4, "dim")
        page.text(twin.note, 6, "dim")
    if asset.advisory:
        page.text("the hash is that of a copy: other bytes may be right as well", 4, "dim")
    if asset.nested:
        page.text(f"archives inside it: {', '.join(asset.nested)}", 4, "dim")
    if asset.evidence:
        page.text(asset.evidence, 4, "dim")


def _mirror(page: Page, portrait: Portrait, asset: Asset, mirror: Mirror, at: int, *, everything: bool) -> None:
    """Kind and state, the code, the link: each on a line that nothing breaks."""
    dead = down(mirror)
    known = health(mirror)
    line = [(mirror.kind, "dim" if dead else "cyan"), ("" if automatic(asset, mirror) else ", by hand", "dim")]
    if known and mirror.health:
        line += [(f"  {known}", "red" if dead else "yellow"), (f": {mirror.health.source}", "dim")]
    page.parts(line, at, at + 2)
    if found := portrait.checked(mirror):
        bad = found.state in DEAD
        said = f": {found.detail}" if bad or everything else ""
        page.parts([(f"checked {found.day}: {found.state}", "red" if bad else "green"), (said, "dim")], at + 2)
    if mirror.code:
        page.parts([("code ", "dim"), (mirror.code, "bold")], at + 2)
    if "://" in address(asset, mirror):
        page.link(address(asset, mirror), at + 2, "dim" if dead else "")
    else:
        page.text("made on this machine", at + 2, "dim")
    if mirror.note:
        page.text(mirror.note, at + 2)
    if everything and mirror.evidence:
        page.text(mirror.evidence, at + 2, "dim")


def _enclosed(page: Page, assets: list[Asset], *, everything: bool) -> None:
    """Files that are published only inside others, or nowhere."""
    if not assets:
        return
    page.blank()
    page.parts([("Not published by themselves", "bold")], 2)
    for place in dict.fromkeys(asset.inside for asset in assets):
        inside = [asset for asset in assets if asset.inside == place]
        if place and not everything:
            page.text(f"inside {place}: {', '.join(asset.name for asset in inside)}", 4, hang=6)
            continue
        for asset in inside:
            size = size_in_words(asset.size, asset.approximate_size)
            what = [role(asset), "" if size == "?" else size, f"inside {place}" if place else ""]
            page.parts([(asset.name, ""), (f"  {', '.join(word for word in what if word)}", "dim")], 4, 6)
            for text in (asset.note, asset.evidence if everything else ""):
                page.text(text, 6, "dim")


def _briefly(page: Page, portrait: Portrait, asset: Asset) -> None:
    """One line; links only where a person is needed, for `fetch` finds the others by itself."""
    kinds = dict.fromkeys(mirror.kind for mirror in asset.every_mirror if automatic(asset, mirror) and not down(mirror))
    size = size_in_words(asset.size, asset.approximate_size)
    what = [role(asset).partition(" of ")[0], "a folder" if asset.is_tree else "", "" if size == "?" else size, *kinds]
    page.parts([(asset.name, ""), (f"  {', '.join(word for word in what if word)}", "dim")], 4, 6)
    for mirror in asset.every_mirror:
        if not automatic(asset, mirror):
            _mirror(page, portrait, asset, mirror, 6, everything=False)
