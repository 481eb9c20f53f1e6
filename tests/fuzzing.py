"""Hostile bytes for every parser: no crash, no hang, no memory.

python tests/fuzzing.py PARSER... [--runs N] [--seed S] [--keep DIR]

Guided by coverage where `atheris` is installed, else by a random mutator of our own that knows fields and words. A
parser may refuse (our faults) and nothing else; more than a second of processor time or 512 MB is a failure. The
last line of stdout is one JSON object: per parser the engine, runs, seconds, and what failed (base64).
"""

from __future__ import annotations

import argparse
import atexit
import base64
import contextlib
import functools
import importlib
import importlib.util
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_seeds as seeds

PLACE = "FUZZ_PLACE"
SECONDS = 1.0
MEMORY = 512 << 20
LONGEST = 16 << 10
WORDS = (b"<!DOCTYPE x [", b"<!ENTITY a 'b'>", b"<!--", b"-->", b"<title>", b"&a", b"*a", b"!!python/name:os.system",
         b"\xef\xbb\xbf", b"\0", b"\r", b"\n", b'"', b"'", b"[", b"{", b"}", b"NaN", b"1e999999999", b"9" * 400, b"../",
         b"\\ud800", b"PK\x05\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04", b"ustar", b'<c r="XFD1048576"/>',
         b'<row r="999999999999">', b't="s"', b"<v>", b"<f>", b"</row>", b"\xff\xfe", b"file:///etc/passwd")  # fmt: skip
NUMBERS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    2**63,
    2**64 - 1,
)


@dataclass(frozen=True)
class Target:
    """A parser: whole files to begin with, one call that may only refuse, and what mends checksums after a mutation."""

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], None]
    mend: Callable[[bytes], bytes] | None = None


class Hang(BaseException):
    """A run took too much processor time."""


def consumed(module: str, name: str, data: bytes) -> None:
    """List an archive and, if it is small, read every member. Raises Refusal or Needed."""
    from aigiqa_cli.archives.source import Opened, Source, memory

    reader = getattr(importlib.import_module(f"aigiqa_cli.archives.{module}"), name)(Source(Opened(()), [memory(data)]))
    members = reader.members()
    if sum(member.bytes for member in members) < 1 << 20:
        reader.stream(members, lambda _member, chunks: [None for _ in chunks])


def _archive(module: str, name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        from aigiqa_cli.archives.contract import Needed, Refusal

        if data:  # an empty file has no magic number and never gets here
            with contextlib.suppress(Refusal, Needed):
                consumed(module, name, data)

    return run


def _table(kind: str, columns: tuple[str, ...] = ("name", "prompt", "mos"), **more: Any) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        from aigiqa_cli import tables
        from aigiqa_cli.errors import Fault

        layout = tables.Layout(f"t.{kind}", kind, columns, **more)
        tables.header_of(io.BytesIO(data))
        try:
            for _, cells in tables.rows(io.BytesIO(data), layout):
                for cell in cells:
                    cell.encode()
        except Fault as fault:
            assert fault.fault, "a refusal without an ID"

    return run


def _sheet(data: bytes) -> None:
    _table("xlsx")(seeds.around(data))


def _styles(data: bytes) -> None:
    _table("xlsx")(seeds.around(data, "xl/styles.xml"))


def _image(data: bytes) -> None:
    from aigiqa_cli import images

    try:
        found = images.decode(data)
    except images.NotAnImage:
        return
    assert found.width > 0
    assert found.height > 0


@functools.cache
def _place() -> Path:
    """A folder for parsers that open files, gone when the process that made it ends; children are told of it."""
    if PLACE in os.environ:
        return Path(os.environ[PLACE])
    made = tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def _manifest(data: bytes) -> None:
    from aigiqa_cli.errors import Fault
    from aigiqa_cli.manifest import load

    path = _place() / "small.yaml"
    path.write_bytes(data)
    try:
        load(path, generators={"glide"})
    except Fault as fault:
        assert fault.findings, "a refusal that says nothing"


def _record(data: bytes) -> None:
    from aigiqa_cli.errors import Fault
    from aigiqa_cli.store.records import read_record_at

    path = _place() / "some.json"
    path.write_bytes(data)
    try:
        record = read_record_at(path, "some")
    except Fault as fault:
        assert fault.fault
        return
    assert record is not None
    b"".join(record.pieces())
    assert isinstance(record.size + record.rows, int)
    assert all(isinstance(text, str) for text in (*record.unpinned, *record.warnings, *record.splits))


def _index(data: bytes) -> None:
    from aigiqa_cli.index import read_rows

    path = _place() / "index.csv"
    path.write_bytes(data)
    try:
        for _ in read_rows(path):
            pass
    except ValueError:
        return


class _Answer:
    """What `transport.pages` asks of an answer."""

    host, asked, url, headers = "example.org", "https://example.org/a", "https://example.org/a", {}

    def __init__(self, data: bytes, content_type: str, encoding: str) -> None:
        self.data, self.content_type, self.encoding = data, content_type, encoding

    def peek(self, size: int) -> bytes:
        return self.data[:size]


def _page(data: bytes) -> None:
    from aigiqa_cli.errors import Fault
    from aigiqa_cli.transport import pages

    types = ("", "text/html", "application/json", "application/zip", "application/problem+json")
    pick = sum(data[:8])
    answer: Any = _Answer(data, types[pick % 5], ("", "", "gzip")[pick % 3])
    for expected in ("zip", "tar", "csv", "json", "png"):
        try:
            pages.judge(answer, "a.zip", expected)
        except Fault as fault:
            assert fault.fault
    pages.page_instead(answer)


TARGETS: dict[str, Target] = {
    "zip": Target(
        lambda: [
            seeds.zipped(),
            seeds.zipped(method=zipfile.ZIP_STORED, comment=b"note"),
            seeds.zipped(method=zipfile.ZIP_LZMA),
            seeds.streamed_zip(),
        ],
        _archive("zip", "ZipFormat"),
    ),
    "tar": Target(
        lambda: [seeds.tarred(), seeds.tarred(form=1), *(map(seeds.tarred, ("gz", "bz2", "xz")))],
        _archive("tar", "TarFormat"),
        seeds.with_tar_sums,
    ),
    "7z": Target(
        lambda: [seeds.seven(), seeds.seven(method=0x21)],
        _archive("seven", "SevenFormat"),
        seeds.with_seven_sums,
    ),
    "rar": Target(lambda: [seeds.rar5(), seeds.rar4()], _archive("rar", "RarFormat"), seeds.with_rar5_sums),
    "png": Target(lambda: [seeds.picture("PNG"), seeds.picture("PNG", optimize=True)], _image, seeds.with_png_sums),
    "jpeg": Target(lambda: [seeds.picture("JPEG"), seeds.picture("JPEG", progressive=True)], _image),
    "webp": Target(lambda: [seeds.picture("WEBP"), seeds.picture("WEBP", lossless=True)], _image),
    "gif": Target(lambda: [seeds.picture("GIF")], _image),
    "bmp": Target(lambda: [seeds.picture("BMP")], _image),
    "tiff": Target(lambda: [seeds.picture("TIFF"), seeds.picture("TIFF", compression="tiff_lzw")], _image),
    "csv": Target(lambda: [seeds.TABLE, seeds.TABLE.replace(b"\n", b"\r\n")], _table("csv")),
    "csv-gbk": Target(lambda: ["name,prompt,mos\na,红猫,1\n".encode("gbk")], _table("csv", encoding="gb18030")),
    "json": Target(lambda: [json.dumps(seeds.ROWS).encode()], _table("json")),
    "jsonl": Target(
        lambda: [b"".join(json.dumps(row).encode() + b"\n" for row in seeds.ROWS)], _table("jsonl")
    ),
    "xlsx": Target(lambda: [seeds.book_once()], _table("xlsx")),
    "xlsx-sheet": Target(lambda: [seeds.sheet()], _sheet),
    "xlsx-styles": Target(
        lambda: [zipfile.ZipFile(io.BytesIO(seeds.book_once())).read("xl/styles.xml")], _styles
    ),
    "mat": Target(
        lambda: [seeds.matrix(packed=False), seeds.matrix(packed=True), seeds.matrix4()],
        _table("mat", ("MOSz",)),
        seeds.packed_matrix,
    ),
    "manifest": Target(lambda: [seeds.MANIFEST], _manifest),
    "record": Target(lambda: [seeds.RECORD], _record),
    "index": Target(lambda: [seeds.index_csv()], _index),
    "page": Target(lambda: seeds.PAGES, _page),
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# One run
# ---------------------------------------------------------------------------------------------------------------------


def bounded() -> None:
    """No run may take more memory than this process has now and 512 MB."""
    with open("/proc/self/statm") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, _late)


def _late(*_: object) -> None:
    raise Hang


def failure(target: Target, data: bytes) -> str:
    """Why `data` is a finding, or ""."""
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(data)
    except Hang:
        return f"hang: more than {SECONDS} s in " + " < ".join(
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(_frames())
        )
    except MemoryError:
        return "memory: more than 512 MB\n" + traceback.format_exc()
    except BaseException:
        return _named(traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    took = time.process_time() - began
    return f"hang: {took:.2f} s" if took > SECONDS else ""


def _named(told: str) -> str:
    """The exception and where it comes from first, so that the same fault with other numbers is the same finding."""
    inner = traceback.extract_tb(sys.exc_info()[2])
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(inner[-3:]))
    return f"{type(sys.exc_info()[1]).__name__} at {places}\n{told[-1200:]}"


def _frames() -> list[traceback.FrameSummary]:
    return traceback.extract_tb(sys.exc_info()[2])[-4:]


# ---------------------------------------------------------------------------------------------------------------------
# Engines
# ---------------------------------------------------------------------------------------------------------------------


def mutated(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    data = bytearray(chance.choice(pool))
    for _ in range(1 + int(chance.expovariate(0.6))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(9):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.randrange(256)
            case 2:  # a number of some width
                width = chance.choice(["<B", ">H", "<H", ">I", "<I", "<Q"])
                size = struct.calcsize(width)
                value = chance.choice([*NUMBERS, len(data), len(data) - 1, at]) % (1 << 8 * size)
                data[at : at + size] = struct.pack(width, value)
            case 3:
                del data[at : at + chance.choice([1, 2, 4, 16, 64])]
            case 4:
                data[at:at] = data[at : at + chance.choice([1, 4, 30, 200])] * chance.choice([1, 2, 50])
            case 5:
                data[at:at] = chance.choice(WORDS) * chance.choice([1, 1, 1, 30, 300])
            case 6:  # the rest of another one
                other = chance.choice(pool)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case 7:
                del data[at:]
            case _:
                other = chance.choice(pool)
                begin = chance.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + chance.choice([4, 16, 100])]
    return bytes(data[: LONGEST * 4])


def by_chance(name: str, runs: int, seed: str) -> dict[str, Any]:
    """Our own mutator; a mutant with a new way of being refused joins the pool."""
    target, chance = TARGETS[name], random.Random(f"{seed}:{name}")
    pool = list(target.seeds())
    for data in pool:
        target.run(data)  # loads what is imported late, before memory is counted
    bounded()
    failures: dict[str, str] = {}
    began, done = time.monotonic(), 0
    while done < runs and len(failures) < 10:
        data = mutated(chance, pool)
        if target.mend is not None and chance.random() < 0.5:
            data = target.mend(data)
        done += 1
        why = failure(target, data)
        if why:
            failures.setdefault(why.partition("\n")[0], json.dumps([why, base64.b64encode(data).decode()]))
        elif chance.random() < 0.002 and len(pool) < 200:
            pool.append(data)
    return _result("random", done, time.monotonic() - began, [json.loads(text) for text in failures.values()])


def _result(engine: str, runs: int, seconds: float, failures: list[list[str]]) -> dict[str, Any]:
    return {"engine": engine, "runs": runs, "seconds": round(seconds, 2), "failures": failures}


def by_coverage(name: str, runs: int, seed: str, keep: Path | None) -> dict[str, Any]:
    """libFuzzer through atheris in a process of its own, which ends at the first finding."""
    folder = keep / name if keep else Path(tempfile.mkdtemp(prefix=f"corpus-{name}-"))
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name].seeds()):
        (folder / f"seed-{number}").write_bytes(data)
    told = folder.with_name(f"{folder.name}.told")
    began = time.monotonic()
    number = int.from_bytes(f"{seed}:{name}".encode(), "little") % (2**31 - 1) or 1
    command = [sys.executable, __file__, "--child", name, str(told), f"-runs={runs}", f"-seed={number}",
               f"-max_len={LONGEST}", "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1",
               "-artifact_prefix=" + str(folder.with_name(f"{folder.name}.found-")), str(folder)]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=os.environ | {PLACE: str(_place())}
    )
    stats = dict(
        line.split(":", 1) for line in done.stderr.splitlines() if line.startswith("stat::") for line in [line[6:]]
    )
    failures = []
    if told.exists():
        failures = [json.loads(line) for line in told.read_text().splitlines()]
        told.unlink()
    if done.returncode and not failures:
        failures = [[f"exit {done.returncode}: {done.stderr[-1500:]}", ""]]
    if keep is None:
        shutil.rmtree(folder)
    return _result("atheris", int(stats.get("number_of_executed_units", 0)), time.monotonic() - began, failures)


def _child(name: str, told: str, words: list[str]) -> None:
    import atheris

    # Only what is ours and what it hands bytes to: instrumenting everything makes the start take minutes.
    wanted = ["aigiqa_cli", "zipfile", "tarfile", "openpyxl", "py7zr", "rarfile", "json", "yaml", "scipy.io", "PIL"]
    with atheris.instrument_imports(include=wanted):
        target = TARGETS[name]
        for data in target.seeds():
            target.run(data)
    bounded()
    known: set[str] = set()

    def one(data: bytes) -> None:
        for variant in (data,) if target.mend is None else (data, target.mend(data)):
            why = failure(target, variant)
            if why and why.partition("\n")[0] not in known and len(known) < 10:
                known.add(why.partition("\n")[0])
                with open(told, "a") as stream:
                    stream.write(json.dumps([why, base64.b64encode(variant).decode()]) + "\n")

    atheris.Setup([sys.argv[0], *words], one)
    atheris.Fuzz()


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], sys.argv[3], sys.argv[4:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parsers", nargs="+", choices=sorted(TARGETS))
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--keep", type=Path, help="the folder that keeps what was found to lead to new code")
    parser.add_argument("--random", action="store_true", help="our own mutator, also where atheris is installed")
    chosen = parser.parse_args()
    guided = importlib.util.find_spec("atheris") is not None and not chosen.random
    results = {}
    for name in chosen.parsers:
        found = by_coverage(name, chosen.runs, chosen.seed, chosen.keep) if guided else _apart(name, chosen)
        results[name] = found
        rate = found["runs"] / max(found["seconds"], 0.01)
        print(f"{name}: {found['runs']} runs by {found['engine']}, {rate:,.0f}/s, {len(found['failures'])} findings", file=sys.stderr, flush=True)  # fmt: skip
    print(json.dumps(results))
    return int(any(found["failures"] for found in results.values()))


def _apart(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """By chance in a forked process: limits on memory cannot be taken back, and one parser may crash alone."""
    for data in TARGETS[name].seeds():
        TARGETS[name].run(data)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        with os.fdopen(write, "w") as stream:
            stream.write(json.dumps(by_chance(name, chosen.runs, chosen.seed)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    if not told:
        return _result("random", 0, 0, [[f"the process ended with status {status}", ""]])
    result: dict[str, Any] = json.loads(told)
    return result


if __name__ == "__main__":
    sys.exit(main())
