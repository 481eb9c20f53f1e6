"""Network faults x position x mirrors through the real command, flipped bits, and certificates.

`--rig network=180` runs every cell; `--rig bits=1000` flips a thousand bits; `--rig tls=12` is every certificate.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import os
import random
import shutil
import ssl
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import invariants
import pytest
import trustme
from conftest import Command
from doubles import Blob, Box, Fault
from doubles.fault_server import Site
from nursery import Ended, Nursery
from rigs import Rig
from tiny import TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, small_labels, tiny_manifest
from wire import DATA, PINNED, SIZE, Wire, answer, same

SECOND = "second.example.org"
PATH = "/tiny.zip"
CHUNK = 256 * 1024  # what a server may have handed to the socket before it notices that nobody reads
SOCKETS = 8 << 20  # what they swallow on loopback of a body that has no end
PATIENCE = {
    "AIGIQA_RETRY_SECONDS": "0.001",
    "AIGIQA_SILENCE_SECONDS": "0.6",
    "AIGIQA_SLOW_SECONDS": "0.4",
    "AIGIQA_BUSY_SECONDS": "1",
}
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to continue</body></html>"


def picture(number: int) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    pixels = random.Random(number).randbytes(80 * 80 * 3)
    Image.frombytes("RGB", (80, 80), pixels).save(target, "PNG", compress_level=0)
    return target.getvalue()


def archive_of(shift: int) -> bytes:
    names = [row["name"] for row in csv.DictReader(io.StringIO(small_labels().decode(), newline=""))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(f"tiny/{name}"), picture(number + shift))
    return target.getvalue()


ARCHIVE, OTHER = archive_of(0), archive_of(100)


# -- the cells ---------------------------------------------------------------------------------------

Arrange = Callable[[Box, Site, int], None]


@dataclass(frozen=True)
class Case:
    """One fault of the list: how to bring it about after `at` good bytes, and how a fetch from that mirror alone must
    end. `resumes`: what arrived before is good and must not be fetched again."""

    arrange: Arrange
    code: int
    faults: frozenset[str]
    resumes: bool = True


def then(*faults: Fault, first: Fault | None = None) -> Arrange:
    """The first answer is cut after `at` bytes; the next ones go wrong like this."""

    def arrange(_box: Box, site: Site, at: int) -> None:
        begin = [Fault(cut=at, no_length=bool(first and first.no_length))] if at else []
        site.faults.add(PATH, *begin, *faults)

    return arrange


def flipped(_box: Box, site: Site, at: int) -> None:
    site.faults.add(PATH, Fault(flip=at, always=True))


def another(data: bytes) -> Arrange:
    return lambda _box, site, _at: site.blobs.update({PATH: Blob(data)})


def swapped(_box: Box, site: Site, at: int) -> None:
    site.faults.add(PATH, Fault(cut=at, then=Blob(OTHER)))


def certificate(name: str, days: int) -> Arrange:
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    return lambda box, _site, _at: box.certify(TINY_HOST, name, end)


def always(**about: object) -> Fault:
    return Fault(always=True, **about)  # type: ignore[arg-type]


def said(*lines: str, body: bytes = b"") -> Fault:
    return always(raw=answer(*lines, "Connection: close", body=body).raw)


def ids(*names: str) -> frozenset[str]:
    return frozenset(names)


REDIRECT_OUT = (("Location", "http://169.254.169.254/latest/meta-data"),)
CASES: dict[str, Case] = {
    "N01-fin": Case(then(always(cut=0)), 6, ids("N01")),
    "N01-reset": Case(then(always(cut=0, how="rst")), 6, ids("N01", "N14")),
    "N02-no-length": Case(then(always(cut=0, no_length=True), first=Fault(no_length=True)), 6, ids("N02")),
    "N03-endless": Case(then(always(no_length=True, more=bytes(3_000_000))), 4, ids("N03"), resumes=False),
    "N04-negative": Case(then(said("Content-Length: -5", body=ARCHIVE[:99])), 6, ids("N02"), False),
    "N04-two": Case(then(said("Content-Length: 5", "Content-Length: 6", body=ARCHIVE[:99])), 3, ids("N04")),
    "N04-shorter": Case(another(ARCHIVE[:-5]), 4, ids("N04")),
    "N04-longer": Case(another(ARCHIVE + b"x" * 9), 4, ids("N04")),
    "N05-flip": Case(flipped, 4, ids("N05", "N06")),  # N06 for a flip in the magic number
    "N05-other": Case(another(OTHER), 4, ids("N05")),
    "N06-page": Case(then(always(status=200, body=PAGE)), 3, ids("N06")),
    "N06-packed-page": Case(then(always(status=200, body=gzip.compress(PAGE), type="application/zip")), 3, ids("N06")),
    "N07-404": Case(then(always(status=404, body=PAGE)), 3, ids("N07", "N06")),
    "N07-403": Case(then(always(status=403, body=b"no")), 3, ids("N07")),
    "N07-500": Case(then(always(status=500, body=PAGE)), 6, ids("N07")),
    "N08-511": Case(then(always(status=511, body=PAGE)), 3, ids("N08")),
    "N09-loop": Case(then(always(status=302, headers=(("Location", PATH),))), 3, ids("N09")),
    "N10-inside": Case(then(always(status=302, headers=REDIRECT_OUT)), 3, ids("N10")),
    "N11-silence": Case(then(always(delay=9)), 6, ids("N11")),
    "N11-stall": Case(then(always(cut=0, stall=9)), 6, ids("N11")),
    "N12-drip": Case(then(always(rate=500)), 6, ids("N12")),
    "N13-429": Case(then(always(status=429)), 6, ids("N13")),
    "N13-hour": Case(then(always(status=503, headers=(("Retry-After", "3600"),))), 6, ids("N13")),
    "N14-garbage": Case(then(always(raw=b"\r\n\r\n")), 6, ids("N14")),
    "N15-expired": Case(certificate(TINY_HOST, -1), 3, ids("N15")),
    "N15-name": Case(certificate("portal.example.net", 300), 3, ids("N15")),
    "N16-swapped": Case(swapped, 4, ids("N05"), resumes=False),
    "N17-range": Case(then(always(shift=3)), 0, ids()),
    "N18-gzip": Case(then(always(gzip=True)), 3, ids("N18")),
    "N19-chunks": Case(
        then(said("Transfer-Encoding: chunked", body=b"zz\r\nno chunk")), 6, ids("N01", "N14", "N19"), False
    ),
}
POSITIONS = {"first": 0, "middle": len(ARCHIVE) // 2, "last": len(ARCHIVE) - 1}
CELLS = [(name, where, mirrors) for name in CASES for where in POSITIONS for mirrors in (1, 2)]


def test_there_are_as_many_cells_as_the_document_counts() -> None:
    assert len(CELLS) == 180


# -- the bench ---------------------------------------------------------------------------------------


class Bench:
    """A box with one or two mirrors of an archive, and a command that is run again and again on a fresh root."""

    def __init__(self, run: Command, box: Box, command: Nursery, manifests: Callable[[str, str], Path]) -> None:
        self.run, self.box, self.command, self.manifests = run, box, command, manifests
        self.sites = {TINY_HOST: box.web(TINY_HOST), SECOND: box.web(SECOND)}
        table = {"kind": "github", "repo": TINY_REPOSITORY, "revision": TINY_COMMIT, "path": "data.csv"}
        assert box.publish(table, small_labels())
        self.good: dict[str, str] = {}

    def fresh(self, mirrors: int) -> Site:
        """An empty root and hosts that behave; returns the first of them."""
        shutil.rmtree(self.run.root, ignore_errors=True)
        self.heal()
        line = f"      - {{kind: http, url: https://{TINY_HOST}{PATH}}}\n"
        second = line.replace(TINY_HOST, SECOND) if mirrors > 1 else ""
        text = tiny_manifest(ARCHIVE)
        path = Path(self.run.environment.get("AIGIQA_MANIFESTS", "")) / "tiny.yaml"
        put = path.write_text if path.is_file() else lambda text: self.manifests("tiny", text)
        put(text.replace(line, line + second))
        return self.sites[TINY_HOST]

    def heal(self) -> None:
        self.box._contexts.pop(TINY_HOST, None)
        for site in self.sites.values():
            site.faults.clear()
            site.put(PATH, ARCHIVE)
        self.box.log.clear()

    def fetch(self) -> Ended:
        env = {name: value for name, value in self.run.environment.items() if name.startswith("AIGIQA_")}
        return self.command("fetch", "tiny", "--json", env=env | PATIENCE)

    def part(self) -> bytes:
        """What lies of the archive in the folder of unfinished downloads."""
        digest = hashlib.sha256(ARCHIVE).hexdigest()
        found = [path.read_bytes() for path in (self.run.root / ".aigiqa" / "partial").glob(f"{digest}.*.part")]
        assert len(found) <= 1
        return found[0] if found else b""

    def waste(self) -> int:
        """Bytes on disk that no install owns."""
        places = (self.run.root / ".aigiqa" / name for name in ("partial", "quarantine", "staging"))
        return sum(path.stat().st_size for place in places for path in place.rglob("*") if path.is_file())

    def tree(self) -> dict[str, str]:
        """All that is published but the manifest, which names one mirror or two."""
        return {name: digest for name, digest in invariants.tree(self.run.root).items() if name != "tiny/database.yaml"}

    def sent(self) -> int:
        return sum(entry.sent for entry in self.box.log if entry.path == PATH)


@pytest.fixture
def bench(run: Command, box: Box, manifests: Callable[[str, str], Path], tmp_path: Path) -> Iterator[Bench]:
    command = Nursery(run.environment, tmp_path / "nursery")
    made = Bench(run, box, command, manifests)
    made.fresh(1)
    ended = made.fetch()
    assert ended.code == 0, ended.err
    made.good = made.tree()
    return made


def _check(bench: Bench, name: str, where: str, mirrors: int) -> None:
    case, at = CASES[name], POSITIONS[where]
    case.arrange(bench.box, bench.fresh(mirrors), at)
    ended = bench.fetch()
    error = ended.error()
    harmless = mirrors == 2 or (name, where) == ("N12-drip", "last")  # one byte cannot drip
    assert ended.code == (0 if harmless else case.code), f"exit {ended.code}: {error}\n{ended.err}"
    assert "Traceback" not in ended.err
    if ended.code:
        assert error["fault"] in case.faults, error
        assert error["hint"]
        assert (error["exit_code"], error["phase"]) == (ended.code, "FETCH")
        assert not (bench.run.root / "tiny").exists(), "P3"
    assert bench.waste() <= 2 * len(ARCHIVE) + CHUNK, "disk use is bounded"
    endless = SOCKETS if name == "N03-endless" else 0
    assert bench.sent() <= 8 * len(ARCHIVE) + 5 * CHUNK + endless, "and so is what is asked for"
    part = bench.part()
    assert case.code == 0 or mirrors == 2 or not case.resumes or at == 0 or part in (b"", ARCHIVE[: len(part)])
    bench.heal()
    again = bench.fetch()
    assert again.code == 0, f"P7: {again.err}"
    verified = len(part) if ARCHIVE.startswith(part) else 0
    if ended.code:
        assert bench.sent() <= len(ARCHIVE) - verified + CHUNK * (verified == 0), (
            "P7: nothing verified is fetched twice"
        )
    else:
        assert bench.sent() == 0
    invariants.check(bench.run.root, settled=True)
    assert bench.tree() == bench.good


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.rig("network", sample=60, share=0.25)) for part in range(4)]
)
def test_network_fault_at_any_position(bench: Bench, rig: Rig, tmp_path: Path, part: int) -> None:
    mine = CELLS[part::4]
    chosen = mine if rig.length >= len(mine) else rig.chance.sample(mine, rig.length)
    outside = invariants.world(tmp_path / "home", tmp_path / "work")
    for cell in chosen:
        print(*cell)
        _check(bench, *cell)
        rig.did()
    assert invariants.world(tmp_path / "home", tmp_path / "work") == outside, "P1"


def test_what_arrived_before_a_temporary_fault_is_kept(bench: Bench) -> None:
    """Each of them once: half of the archive arrives, is kept, and is not asked for again."""
    half = len(ARCHIVE) // 2
    for name, case in CASES.items():
        if case.code != 6 or not case.resumes:
            continue
        case.arrange(bench.box, bench.fresh(1), half)
        assert bench.fetch().code == 6, name
        kept = len(bench.part())
        assert kept >= half, name
        bench.heal()
        assert bench.fetch().code == 0, name
        assert bench.sent() == len(ARCHIVE) - kept, name


# -- single bits -------------------------------------------------------------------------------------


@pytest.mark.rig("bits", sample=50)
def test_N05_any_flipped_bit_is_found(wire: Wire, rig: Rig) -> None:
    """One bit of 3.2 million, anywhere: never accepted, named with both hashes, and the next mirror serves."""
    for number in range(rig.length):
        bit = rig.chance.randrange(32, 8 * SIZE)  # the magic number is another matter (N06)
        data = bytearray(DATA)
        data[bit // 8] ^= 1 << bit % 8
        wire.server.site.put("/bad.zip", bytes(data))
        problem = wire.fails(PINNED, wire.source("/bad.zip"))
        assert (problem.exit_code, problem.fault) == (4, "N05"), f"bit {bit}"
        assert hashlib.sha256(data).hexdigest() in str(problem)
        if number % 10 == 0:
            got = wire.receive(PINNED, wire.source("/bad.zip"), wire.source())
            assert same(got)
            got.discard()
        for path in wire.quarantined():
            path.unlink()
        rig.did()


# -- certificates ------------------------------------------------------------------------------------


def _issued(by: trustme.CA, name: str, begin: int = -1, end: int = 300) -> ssl.SSLContext:
    """A certificate for `name`, valid from `begin` to `end` days from now."""
    now = dt.datetime.now(dt.UTC)
    before, after = (now + dt.timedelta(days=days) for days in (begin, end))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by.issue_cert(name, not_before=before, not_after=after).configure_cert(context)
    return context


CERTIFICATES: dict[str, tuple[Callable[[trustme.CA], ssl.SSLContext], str]] = {
    "expired": (lambda ours: _issued(ours, TINY_HOST, -30, -1), "clock"),
    "not yet valid": (lambda ours: _issued(ours, TINY_HOST, 1, 30), "clock"),
    "expired long ago": (lambda ours: _issued(ours, TINY_HOST, -9000, -8000), "clock"),
    "other name": (lambda ours: _issued(ours, "portal.example.net"), "certificate"),
    "part of the name": (lambda ours: _issued(ours, TINY_HOST.partition(".")[2]), "certificate"),
    "unknown authority": (lambda _: _issued(trustme.CA(), TINY_HOST), "certificate"),
}


@pytest.mark.rig("tls", sample=6)
def test_N15_nothing_is_asked_over_an_unproven_connection(bench: Bench, rig: Rig, authority: trustme.CA) -> None:
    """Each kind of certificate, alone and with a second mirror that is proven."""
    cells = [(kind, mirrors) for kind in CERTIFICATES for mirrors in (1, 2)]
    for kind, mirrors in rig.chance.sample(cells, min(rig.length, len(cells))):
        make, word = CERTIFICATES[kind]
        bench.fresh(mirrors)
        bench.box._contexts[TINY_HOST] = make(authority)
        ended = bench.fetch()
        assert [entry for entry in bench.box.log if entry.host == TINY_HOST] == [], kind
        if mirrors == 2:
            assert ended.code == 0, ended.err
        else:
            error = ended.error()
            assert (ended.code, error["fault"]) == (3, "N15"), f"{kind}: {error}"
            assert word in error["message"] + error["hint"], kind
        bench.heal()
        assert bench.fetch().code == 0
        rig.did()


def test_N15_self_signed_certificate(bench: Bench, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "self.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN={TINY_HOST} -addext subjectAltName=DNS:{TINY_HOST}"
    assert (
        os.spawnv(os.P_WAIT, openssl, ["openssl", *words.split(), "-keyout", str(key), "-out", str(certificate)]) == 0
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    bench.fresh(1)
    bench.box._contexts[TINY_HOST] = context
    ended = bench.fetch()
    assert (ended.code, ended.error()["fault"]) == (3, "N15")
    assert bench.sent() == 0
