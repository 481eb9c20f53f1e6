"""Bad archives are refused, good ones are not, changed ones are never misread; and no other program reads otherwise.

Rigs `bad-archives`, `mutants`, `good-archives`, `diff`. They read in one process (see archive_reader), and a few of each
in the real worker and with the real command.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import bad_archives
import good_archives
import pytest
from archive_reader import MEMORY, Read, Reader
from archive_writers import file5, rar4, rar5, seven, streamed, tarred_member, zipped, zstd
from bad_archives import AMBIGUITIES, SHAPES, Bad
from conftest import Command
from rigs import Rig
from test_archives import World
from test_more_archives import chinese_manifest, chinese_table

from aigiqa_cli.errors import Fault

FORMATS = ("zip", "tar", "7z", "rar")


@pytest.fixture(scope="module")
def read() -> Iterator[Reader]:
    with Reader() as reader:
        yield reader


def judge(read: Reader, path: Path, data: bytes) -> Read:
    path.write_bytes(data)
    done = read(path)
    assert done.verdict not in ("crash", "hang"), done.reason
    assert done.peak < MEMORY // 1024
    return done


def some(rig: Rig, items: list[Bad]) -> list[Bad]:
    """As many as the rig's length asks for, some of every kind among them."""
    if rig.length >= len(items):
        return items
    kinds: dict[str, list[Bad]] = {}
    for item in items:
        kinds.setdefault(item.of, []).append(item)
    chosen = [item for kind, its in kinds.items() if kind for item in rig.chance.sample(its, min(3, len(its)))]
    rest = [item for item in items if item not in chosen]
    return chosen + rig.chance.sample(rest, max(0, min(len(rest), rig.length - len(chosen))))


# ---------------------------------------------------------------------------------------------------------------------
# Bad ones
# ---------------------------------------------------------------------------------------------------------------------


def check_bad(rig: Rig, read: Reader, items: list[Bad], path: Path) -> None:
    assert len({item.name for item in items}) == len(items)
    for item in items:
        done = judge(read, path, item.make())
        assert done.closed, f"{item.name} is accepted: {list(done.members)}"
        assert done.fault in item.faults, f"{item.name}: {done.fault} {done.reason}, not {sorted(item.faults)}"
        rig.did()


@pytest.mark.rig("bad-archives", sample=600, share=0.5)
def test_A18_A19_bad_zips(rig: Rig, read: Reader, tmp_path: Path) -> None:
    """Among them all fourteen ambiguities."""
    items = some(rig, list(bad_archives.zip_archives()))
    assert set(AMBIGUITIES) <= {item.of for item in items}
    check_bad(rig, read, items, tmp_path / "given")


@pytest.mark.rig("bad-archives", sample=600, share=0.2)
def test_A27_A31_bad_tars(rig: Rig, read: Reader, tmp_path: Path) -> None:
    check_bad(rig, read, some(rig, list(bad_archives.tar_archives())), tmp_path / "given")


@pytest.mark.rig("bad-archives", sample=600, share=0.12)
def test_A28_bad_7z(rig: Rig, read: Reader, tmp_path: Path) -> None:
    check_bad(rig, read, some(rig, list(bad_archives.seven_archives())), tmp_path / "given")


@pytest.mark.rig("bad-archives", sample=600, share=0.15)
def test_A29_bad_rars(rig: Rig, read: Reader, tmp_path: Path) -> None:
    items = some(rig, list(bad_archives.rar_archives()) + list(bad_archives.other_files()))
    check_bad(rig, read, items, tmp_path / "given")


@pytest.mark.parametrize("form", ["zip", "tar", "7z", "rar"])
@pytest.mark.rig("bad-archives", sample=600, share=0.0134)
def test_A05_A06_the_eight_shapes(rig: Rig, tmp_path: Path, form: str) -> None:
    """In the real worker, with a world around it that nobody may touch."""
    items = [item for item in bad_archives.FORMATS["shapes"]() if item.name.startswith(f"{form}-")]
    assert [item.of for item in items] == list(SHAPES)
    for item in items:
        World(tmp_path / item.name).refuses(item.make(), *item.faults)
        rig.did()


@pytest.mark.rig("bad-archives", sample=600, share=0.01)
def test_A01_A31_bad_archives_in_the_worker(rig: Rig, tmp_path: Path) -> None:
    items = [item for form in FORMATS for item in bad_archives.FORMATS[form]()]
    for item in rig.chance.sample(items, min(rig.length, len(items))):
        world = World(tmp_path / f"world-{rig.done}")
        with pytest.raises(Fault) as caught:
            world.unpack(item.make())
        assert caught.value.fault in item.faults, item.name
        assert int(caught.value.exit_code) in (3, 4, 5), item.name
        world.untouched()
        shutil.rmtree(world.base)
        rig.did()


@pytest.mark.rig("bad-archives", sample=600, share=0.01)
def test_A01_A31_bad_archives_by_the_command(
    rig: Rig, run: Command, manifests: Callable[[str, str], Path], tmp_path: Path
) -> None:
    manifests("hanzi", chinese_manifest())
    items = [item for form in FORMATS for item in bad_archives.FORMATS[form]()]
    given, table = tmp_path / "given", tmp_path / "data.csv"
    table.write_bytes(chinese_table())
    for item in rig.chance.sample(items, min(rig.length, len(items))):
        given.write_bytes(item.make())
        done = run("import", "hanzi", given, table, "--json")
        error = done.json()["error"]
        # what only its data would betray is refused before that, for holding none of the images
        assert error["fault"] in item.faults | {"A23", "A25"}, f"{item.name}: {error}"
        assert done.code in (3, 4, 5), item.name
        assert not (run.root / "hanzi").exists()
        assert not list((run.root / ".aigiqa" / "installed").glob("*"))
        assert not list((run.root / ".aigiqa" / "staging").glob("*"))
        rig.did()


def test_A09_A13_bombs_cost_little(read: Reader, tmp_path: Path) -> None:
    """What promises gigabytes is refused before much is unpacked."""
    bombs = [item for form in ("zip", "tar", "7z") for item in bad_archives.FORMATS[form]()
             if any(word in item.name for word in ("A09", "A10", "A13", "bomb", "endless", "dictionary"))]  # fmt: skip
    with Reader() as fresh:
        peaks = [judge(fresh, tmp_path / "given", item.make()).peak for item in bombs]
    assert len(bombs) > 20
    assert max(peaks) < 300 << 10, "kB: §8 of the threats"


def test_A11_archives_in_archives_are_plain_files(read: Reader, tmp_path: Path) -> None:
    """Nothing is ever opened by itself: an archive that holds itself is one file."""
    inner = zipped(streamed(b"a.png"))
    for _ in range(20):
        inner = zipped(bad_archives.Zipped(b"inner.zip", inner))
    done = judge(read, tmp_path / "given", inner)
    assert (done.verdict, list(done.members)) == ("good", ["inner.zip"])


def test_A30_folders_come_only_from_files(tmp_path: Path) -> None:
    """Sixty thousand empty folders make none."""
    folders = [bad_archives.Zipped(b"d%d/" % number, b"", mode=0o040755) for number in range(60_000)]
    world = World(tmp_path / "world")
    assert set(world.unpack(bad_archives.many([*folders, bad_archives.Zipped(b"a.png", b"")]))) == {"a.png"}
    assert [path.name for path in world.target.iterdir()] == ["out"]


def test_A17_more_members_than_sixteen_bits_count(read: Reader, tmp_path: Path) -> None:
    """As macOS writes them: unzip, 7z, bsdtar and Python list all of them. Any other miscount is refused."""
    crowd = bad_archives.many([bad_archives.Zipped(b"%x/%x" % divmod(n, 256), b"") for n in range(65_537)])
    done = judge(read, tmp_path / "given", crowd)
    assert (done.verdict, len(done.members)) == ("good", 65_537)
    miscounted = crowd[:-14] + (2).to_bytes(2, "little") * 2 + crowd[-10:]
    assert judge(read, tmp_path / "given", miscounted).fault == "A17"


# ---------------------------------------------------------------------------------------------------------------------
# Changed ones
# ---------------------------------------------------------------------------------------------------------------------

NUMBERS = (0, 1, 2, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def seeds() -> dict[str, bytes]:
    """One good archive of every kind. `plain`: the format holds no checksum of the data."""
    chance = random.Random(11)
    files = {f"set/images/{n}.png": chance.randbytes(300 + n) for n in range(3)} | {
        "set/t.csv": b"name,mos\n" * 90,
        "set/e": b"",
    }
    raw = {name.encode(): data for name, data in files.items()}
    tar = b"".join(tarred_member(name, data) for name, data in raw.items()) + bytes(1024)
    long = bad_archives.pax(bad_archives.pax_record(b"path", b"set/" + b"long" * 40)) + tar
    made = {
        "zip-stored": zipped(*(bad_archives.Zipped(name, data) for name, data in raw.items())),
        "zip-deflated": zipped(*(bad_archives.Zipped(name, data, 8) for name, data in raw.items())),
        "zip-streamed": zipped(*(streamed(name, data, wide=len(data) % 2 == 0) for name, data in raw.items()), wide={}),
        "zip-flagged": zipped(
            *(bad_archives.Zipped("图/".encode() + n, d, 8, 0x800) for n, d in raw.items()), comment=b"hello"
        ),
        "tar-plain": tar,
        "tar-pax-plain": long,
        "tar-zst": zstd(long, checksum_flag=1),
        "7z": seven(files),
        "7z-header": seven(files, plain_header=True),
        "rar5": rar5(*(file5(name, data) for name, data in files.items())),
        "rar4": rar4(raw),
    }
    for name in ("gz", "xz", "bz2"):
        made[f"tar-{name}"] = bad_archives.PACKERS[name](long)
    return made


def mutated(chance: random.Random, good: bytes, others: list[bytes]) -> bytes:
    """One to three changes: bits, bytes, numbers in headers, cuts, repeats, pieces of other archives."""
    data = bytearray(good)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = _place(chance, data)
        kind = chance.randrange(9)
        if kind <= 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at] = chance.randrange(256)
        elif kind == 3:
            width = chance.choice((1, 2, 4, 8))
            data[at : at + width] = (chance.choice(NUMBERS) & (1 << 8 * width) - 1).to_bytes(width, "little")
        elif kind == 4:
            del data[at : at + chance.choice((1, 2, 4, 16, 512))]
        elif kind == 5:
            data = data[:at] if chance.random() < 0.5 else data[at:]
        elif kind == 6:
            length = chance.choice((1, 4, 30, 512))
            data[at:at] = data[at : at + length]
        elif kind == 7:
            other = chance.choice(others)
            begin = chance.randrange(len(other))
            data[at : at + chance.choice((0, 30, 100))] = other[begin : begin + chance.choice((4, 46, 600))]
        else:
            data += chance.choice((b"\0", b"PK\x05\x06" + bytes(18), bytes(data[-22:]), bytes(512), good))
        if not data:
            data = bytearray(good[:1])
    return bytes(data)


def _place(chance: random.Random, data: bytearray) -> int:
    """Anywhere, but rather where headers are."""
    if chance.random() < 0.7:
        marks = (
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"PK\x07\x08",
            b"ustar",
            b"7z\xbc\xaf",
            b"Rar!",
            b"set/",
        )
        found = [at for mark in marks if (at := data.find(mark, chance.randrange(len(data)))) >= 0]
        if found:
            return min(len(data) - 1, max(0, chance.choice(found) + chance.randrange(-12, 60)))
    return chance.randrange(len(data))


@pytest.mark.parametrize("part", range(2))
@pytest.mark.rig("mutants", sample=300, share=0.5)
def test_A16_A17_changed_archives_are_never_misread(rig: Rig, read: Reader, tmp_path: Path, part: int) -> None:
    made = seeds()
    path = tmp_path / "given"
    true = {name: judge(read, path, data) for name, data in made.items()}
    assert {done.verdict for done in true.values()} == {"good"}
    accepted = refused = 0
    for number in range(rig.length):
        name = rig.chance.choice(list(made))
        data = mutated(rig.chance, made[name], list(made.values()))
        done = judge(read, path, data)
        if done.closed:
            refused += 1
            continue
        accepted += 1
        where = f"mutant {number} of {name}, seed {rig.seed}"
        whole = [told.members for told in true.values()]
        if name.endswith("plain"):  # nothing in a plain tar vouches for data, pax records and the number of members
            known = {length for members in whole for length, _ in members.values()}
            assert {length for length, _ in done.members.values()} <= known, where
        else:
            assert not done.members or done.members in whole, where
    rig.did(rig.length, accepted=accepted, refused=refused)


# ---------------------------------------------------------------------------------------------------------------------
# Good ones
# ---------------------------------------------------------------------------------------------------------------------


def flavours(rig: Rig, names: list[str]) -> Iterator[str]:
    """Each in turn, but rarely those that take long."""
    able = [name for name in names if shutil.which(good_archives.FLAVOURS[name].needs or "sh")]
    while True:
        for name in rig.chance.sample(able, len(able)):
            if rig.chance.random() < good_archives.RARELY.get(name, 1.0):
                yield name


def hashes(files: dict[str, bytes]) -> dict[str, tuple[int, str]]:
    return {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}


@pytest.mark.parametrize("part", range(2))
@pytest.mark.rig("good-archives", sample=200, share=0.5)
def test_A22_A24_good_archives_are_never_refused(rig: Rig, read: Reader, tmp_path: Path, part: int) -> None:
    named = flavours(rig, list(good_archives.FLAVOURS))
    for number in range(rig.length):
        name = next(named)
        flavour = good_archives.FLAVOURS[name]
        files = good_archives.some_files(rig.chance, ascii_only=flavour.ascii_only)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            data = flavour.write(rig.chance, files, folder)
        except subprocess.CalledProcessError:
            rig.did(0, unwritable=1)  # names that this program cannot write in this form
            continue
        done = judge(read, folder / "given", data)
        assert done.verdict == "good", f"{name}: {done.fault} {done.reason}"
        found = {member: told for member, told in done.members.items() if not member.startswith("__MACOSX/")}
        assert found == hashes(files), name
        shutil.rmtree(folder)
        rig.did()


# ---------------------------------------------------------------------------------------------------------------------
# What other programs say
# ---------------------------------------------------------------------------------------------------------------------

READERS: dict[str, tuple[str, ...]] = {
    "unzip": ("unzip", "-q", "-o", "GIVEN", "-d", "OUT"),
    "7z": ("7z", "x", "-y", "-bd", "-oOUT", "GIVEN"),
    "bsdtar": ("bsdtar", "-x", "-C", "OUT", "-f", "GIVEN"),
    "python": ("python3", "-m", "zipfile", "-e", "GIVEN", "OUT"),
}


def by_others(given: Path, base: Path) -> dict[str, dict[str, tuple[int, str]]]:
    """What each program that is content makes of an archive."""
    found = {}
    for name, command in READERS.items():
        if not shutil.which(command[0]):
            continue
        out = base / name
        out.mkdir()
        words = [word.replace("GIVEN", str(given)).replace("OUT", str(out)) for word in command]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        if done.returncode == 0:
            files = (path for path in out.rglob("*") if path.is_file() and not path.is_symlink())
            found[name] = hashes({path.relative_to(out).as_posix(): path.read_bytes() for path in files})
        shutil.rmtree(out)
    return found


@pytest.mark.parametrize("kind", ["good", "bad", "mutants"])
@pytest.mark.rig("diff", sample=24, share=1 / 3)
def test_A18_no_program_reads_otherwise_what_is_accepted(rig: Rig, read: Reader, tmp_path: Path, kind: str) -> None:
    """Where two programs disagree about names or bytes, we refuse; what we accept, all that are content read alike."""
    if not any(shutil.which(command[0]) for command in list(READERS.values())[:3]):
        rig.not_run("unzip, 7z and bsdtar are not on this machine")
    made = list(_to_compare(rig, kind, tmp_path))
    given = tmp_path / "given.zip"
    for data in made:
        done = judge(read, given, data)
        told = by_others(given, tmp_path)
        if done.verdict == "good":
            for program, theirs in told.items():
                assert theirs == done.members, f"{program} reads otherwise (seed {rig.seed})"
            rig.did(accepted=1, compared=len(told))
        else:
            rig.did(refused=1)
        disagree = len({tuple(sorted(value.items())) for value in told.values()}) > 1
        assert not (disagree and done.verdict == "good")


def _to_compare(rig: Rig, kind: str, base: Path) -> Iterator[bytes]:
    if kind == "good":
        named = flavours(rig, [name for name in good_archives.ZIPS if name != "bsdtar"])
        for number in range(rig.length):
            folder = base / f"made-{number}"
            folder.mkdir()
            files = good_archives.some_files(rig.chance, ascii_only=True)
            yield good_archives.FLAVOURS[next(named)].write(rig.chance, files, folder)
            shutil.rmtree(folder)
    elif kind == "bad":
        items = [item for item in bad_archives.zip_archives() if item.of]
        for item in rig.chance.sample(items, min(rig.length, len(items))):
            yield item.make()
    else:
        made = {name: data for name, data in seeds().items() if name.startswith("zip") and name != "zip-flagged"}
        for _ in range(rig.length):
            yield mutated(rig.chance, made[rig.chance.choice(list(made))], list(made.values()))
