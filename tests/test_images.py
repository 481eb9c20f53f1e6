"""Images: broken, giant, moving, empty, foreign ones; each by its rule, in bounded memory. Made from scripts."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_writers import Zipped, zipped
from conftest import Command
from PIL import Image
from test_more_archives import PICTURES, chinese_manifest, chinese_table

from aigiqa_cli import images

FORMS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")


def picture(form: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", seed: int = 1, **more: object) -> bytes:
    chance, target = random.Random(seed), io.BytesIO()
    depth = len(Image.new(mode, (1, 1)).getbands())
    Image.frombytes(mode, size, chance.randbytes(size[0] * size[1] * depth)).save(target, form, **more)
    return target.getvalue()


def moving(form: str, count: int) -> bytes:
    frames = [Image.new("RGB", (20, 20), (n * 7 % 256, n % 256, 0)) for n in range(count)]
    target = io.BytesIO()
    frames[0].save(target, form, save_all=True, append_images=frames[1:])
    return target.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, size: tuple[int, int] = (4, 4)) -> bytes:
    head = chunk(b"IHDR", struct.pack(">II5B", *size, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + bytes(3 * size[0]) for _ in range(min(size[1], 64))))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def fault_of(look: Callable[[bytes], images.Header], data: bytes) -> str:
    try:
        look(data)
    except images.NotAnImage as error:
        assert str(error)
        return error.fault
    return ""


@pytest.mark.parametrize("form", FORMS)
def test_I01_cut_images_do_not_decode(form: str) -> None:
    """At ten points; the header alone passes most of them, which is why `verify --decode` reads every pixel."""
    whole = picture(form)
    assert fault_of(images.decode, whole) == ""
    cuts = [
        *(len(whole) * tenth // 10 for tenth in range(1, 10)),
        len(whole) - 40,
    ]  # behind are checksums and end marks
    found = [fault_of(images.decode, whole[:cut]) for cut in cuts]
    assert set(found) <= {"I01", "I03"}


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "JPEG", "WEBP"])
def test_I02_giant_sizes_are_refused_by_the_header(form: str) -> None:
    whole = bytearray(picture(form, (64, 64)))
    giant = 40_000
    if form == "PNG":
        whole = bytearray(png(size=(giant, giant)))
    elif form == "BMP":
        whole[18:26] = struct.pack("<ii", giant, giant)
    elif form == "GIF":
        whole[6:10] = struct.pack("<HH", giant, giant)
    elif form == "JPEG":
        at = whole.index(b"\xff\xc0") + 5
        whole[at : at + 4] = struct.pack(">HH", giant, giant)
    elif form == "TIFF":
        at = struct.unpack("<I", whole[4:8])[0] + 2
        for entry in range(at, at + 24, 12):
            whole[entry + 8 : entry + 12] = struct.pack("<I", giant)
    else:
        whole = bytearray(b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0")
        whole += (16_383).to_bytes(3, "little") * 2
    assert fault_of(images.header, bytes(whole)) in ("I02", "I01")
    assert fault_of(images.decode, bytes(whole)) in ("I02", "I01")


@pytest.mark.parametrize("size", [(16_385, 1), (1, 16_385), (16_384, 16_384)])
def test_I02_side_and_area(size: tuple[int, int]) -> None:
    assert fault_of(images.header, png(size=size)) == "I02"
    assert fault_of(images.header, png(size=(16_384, 3_906))) == ""


OTHERS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PDF": b"%PDF-1.7\n", "FITS": b"SIMPLE  =                    T",
    "PSD": b"8BPS\0\1" + bytes(40), "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "font": b"\0\1\0\0" + bytes(60),
    "text": b"hello", "HTML": b"<!DOCTYPE html>", "ICO": b"\0\0\1\0\1\0" + bytes(40), "PPM": b"P6\n2 2\n255\n" + bytes(12),
    "XBM": b"#define a_width 2\n#define a_height 2\n", "zip": b"PK\3\4" + bytes(40), "TGA": bytes(2) + b"\2" + bytes(40),
    "DDS": b"DDS " + bytes(124), "AVIF": b"\0\0\0\x1cftypavif" + bytes(20), "JP2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
    "PCX": b"\x0a\5\1\x08" + bytes(124), "SGI": b"\1\xda\0\1" + bytes(508), "MPO-less": b"\xff\xd8", "zeros": bytes(4096),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_I03_other_formats_are_not_opened(kind: str) -> None:
    assert fault_of(images.header, OTHERS[kind]) in ("I03", "I01")


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("count", [2, 300])
def test_I04_moving_images(form: str, count: int) -> None:
    assert fault_of(images.header, moving(form, count)) == "I04"
    assert fault_of(images.header, moving(form, 1)) == ""


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP", "TIFF"])
def test_I05_a_flipped_byte_decodes_only_hashes_prove(form: str) -> None:
    whole = bytearray(picture(form, (200, 200)))
    passed = 0
    for number in range(20):
        flipped = bytearray(whole)
        flipped[len(whole) // 2 + number * 11] ^= 1
        passed += fault_of(images.decode, bytes(flipped)) == ""
    assert passed, "decoders notice nothing: this is why the record holds a hash of every file"


BOMBS: dict[str, Callable[[], bytes]] = {
    "zTXt": lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 << 20)))),
    "many zTXt": lambda: png(*[chunk(b"zTXt", b"a%d\0\0" % n + zlib.compress(bytes(1_000_000))) for n in range(200)]),
    "iTXt": lambda: png(chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(64 << 20)))),
    "iCCP": lambda: png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 << 20)))),
    "tEXt": lambda: png(chunk(b"tEXt", b"a\0" + b"x" * (3 << 20))),
    "many chunks": lambda: png(*[chunk(b"tEXt", b"a\0b")] * 100_000),
    "eXIf": lambda: png(chunk(b"eXIf", b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + bytes(12 * 0xFFFF))),
    "giant claim": lambda: png(b"\x7f\xff\xff\xfftEXt" + bytes(100)),
    "flat pixels": lambda: png(size=(8000, 8000)),
    "palette": lambda: picture("GIF", mode="P") + b"\x21\xfe" + b"\xff" + bytes(255) * 1000,
    "TIFF tags": lambda: b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + b"\0\1\4\0\xff\xff\xff\x7f\0\0\0\0" * 0xFFFF,
    "JPEG comments": lambda: b"\xff\xd8" + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 60 + picture("JPEG")[2:],
}
LOOK = """
import json, resource, sys, warnings
warnings.simplefilter("ignore")
from aigiqa_cli import images
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
images.header(open(sys.argv[1], "rb").read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    for look in (images.header, images.decode):
        try:
            look(open(path, "rb").read())
        except images.NotAnImage:
            continue
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.parametrize("bomb", BOMBS)
def test_I06_metadata_bombs_cost_little(tmp_path: Path, bomb: str) -> None:
    (tmp_path / "small").write_bytes(picture("PNG"))
    (tmp_path / "bomb").write_bytes(BOMBS[bomb]())
    paths = [str(tmp_path / name) for name in ("small", "bomb")]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *paths], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) < 300 << 10, "kB beyond what a small image takes: §8 of the threats"


# ---------------------------------------------------------------------------------------------------------------------
# An install with such images
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def install(run: Command, manifests: Callable[[str, str], Path], tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Import the invented database with some of its images replaced; None leaves one out. Returns the error."""
    manifests("hanzi", chinese_manifest())
    (tmp_path / "data.csv").write_bytes(chinese_table())

    def make(changes: dict[str, bytes | None]) -> dict[str, object]:
        content = {name: picture("PNG", seed=n) for n, name in enumerate(PICTURES)} | changes
        members = [Zipped(name.encode(), data, flags=0x800) for name, data in content.items() if data is not None]
        given = tmp_path / "given.zip"
        given.write_bytes(zipped(*members))
        done = run("import", "hanzi", given, tmp_path / "data.csv", "--json")
        error: dict[str, object] = done.json()["error"] or {}
        assert bool(error) != (run.root / "hanzi").exists()
        assert not error or error["exit_code"] == done.code == 4
        return error

    return make


FIRST = next(iter(PICTURES))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "I07"),
        (b"hello", "I03"),
        (png(size=(40_000, 40_000)), "I02"),
        (moving("GIF", 3), "I04"),
        (picture("PNG")[:20], "I01"),
    ],
    ids=["empty", "text", "giant", "moving", "cut"],
)
def test_I01_I02_I03_I04_I07_bad_image_is_named_and_nothing_installed(
    install: Callable[..., dict[str, object]], data: bytes, fault: str
) -> None:
    error = install({FIRST: data})
    assert error["fault"] == fault
    assert FIRST in str(error["message"])


def test_I07_one_pixel_and_equal_images_are_installed_and_flagged(
    install: Callable[..., dict[str, object]], run: Command
) -> None:
    one = picture("PNG", (1, 1))
    second = list(PICTURES)[1]
    assert install({FIRST: one, second: one}) == {}
    rows = run("export", "hanzi", "--format", "jsonl").out.splitlines()
    flags = {row["image_id"]: (row["width"], row["flags"]) for row in map(json.loads, rows)}
    assert flags[FIRST] == (1, "")
    assert flags[second] == (1, "duplicate-image")


def test_I08_another_format_than_the_name_says_is_flagged(
    install: Callable[..., dict[str, object]], run: Command
) -> None:
    assert install({FIRST: picture("JPEG")}) == {}
    rows = map(json.loads, run("export", "hanzi", "--format", "jsonl").out.splitlines())
    assert {row["image_id"]: (row["format"], row["flags"]) for row in rows}[FIRST] == ("jpeg", "other-format")


def test_I10_row_without_image(install: Callable[..., dict[str, object]]) -> None:
    error = install({FIRST: None})
    assert error["fault"] == "A25"
    assert FIRST in str(error["message"])


def test_I10_image_without_row_is_left_out_and_counted(install: Callable[..., dict[str, object]], run: Command) -> None:
    assert install({"stray.png": picture("PNG")}) == {}
    assert not (run.root / "hanzi" / "images" / "stray.png").exists()
    assert len(list((run.root / "hanzi" / "images").iterdir())) == len(PICTURES)
