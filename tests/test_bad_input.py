"""What is refused, how it is named, and that nothing is left of it; and how the command behaves in pipelines."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet
import pytest
import replicas
import trustme
from conftest import LIMIT, Command
from test_agiqa3k_import import COLUMNS, ID, house, nothing_installed, published, read_csv, snapshot, table_file, tree

PAGE = b"\n<!DOCTYPE html><html><head><title>Baidu: enter the code</title></head><body>" + b"<p>.</p>" * 999


@pytest.fixture(scope="module")
def home(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, replica_zip: Path, built_in: Callable[[str], str]
) -> Iterator[Command]:
    with house(authority, tmp_path_factory.mktemp("bad"), replica_zip, built_in(ID)) as run:
        yield run


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Where the user's files lie."""
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


def refused(run: Command, given: Path, *words: object, code: int) -> str:
    """Import what must be refused: nothing is installed, nothing of the user's is changed. Returns what was told."""
    before = snapshot(given)
    done = run("import", *words, code=code)
    assert done.out == ""
    assert "bug" not in done.err
    assert nothing_installed(run)
    assert snapshot(given) == before
    return done.err


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["fetch", "info", "verify", "export", "path", "cite", "remove"])
def test_an_unknown_id_suggests_the_nearest(run: Command, command: str) -> None:
    done = run(command, "agiqa-3000k", code=2)
    assert done.out == ""
    assert "agiqa-3000k" in done.err
    assert ID in done.err
    more = ["-o", "x.csv"] if command == "export" else []
    error = run(command, "agiqa-3000k", "--json", *more, code=2).json()["error"]
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert ID in error["hint"]
    assert not run.root.exists()


def test_a_path_that_is_none(run: Command) -> None:
    done = run("import", ID, "~/Downloads/AGIQA-3K.zip", code=2)
    assert "AGIQA-3K.zip" in done.err
    run("import", "AGIQA3K.zip", code=2)


def test_a_known_database_that_is_not_installed(run: Command) -> None:
    done = run("export", ID, code=2)
    assert f"aigiqa fetch {ID}" in done.err


# --- manifests --------------------------------------------------------------------------------------------------


def test_all_faults_of_a_manifest_at_once(
    run: Command, manifests: Callable[[str, str], Path], built_in: Callable[[str], str]
) -> None:
    text = built_in(ID)
    for right, wrong in (
        ("homepage: https", "homepge: https"),
        ("    format: zip\n    bytes: 97950738\n", "    format: zipp\n    bytes: 97 MB\n"),
        ("  rows: 2982\n", "  rows: 2982\n  rows: 2981\n"),
        ("        code: AIGC\n", "        code: ~\n"),
    ):
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    path = manifests(ID, text)
    lines = text.splitlines()
    places = [
        next(number for number, line in enumerate(lines, 1) if mark in line)
        for mark in ("homepge", "zipp", "97 MB", "rows: 2981", "code: ~")
    ]
    done = run("lint", path, code=5)
    for number in places:
        assert f"{path}:{number}" in done.err
    assert "homepage" in done.err, "the nearest right key"
    for words in (["fetch", ID], ["info", ID], ["import", ID, path]):
        told = run(*words, code=5).err
        assert all(f":{number}" in told for number in places)
    findings = run("fetch", ID, "--json", code=5).json()["findings"]
    assert {f"{path}:{number}" for number in places} <= {finding["path"] for finding in findings}
    listed = run("list", "--json", code=0).json()
    assert listed["status"] == "partial"
    assert {entry["id"] for entry in listed["data"]} >= {ID, "demo"}, "one bad manifest does not hide the others"
    assert not run.root.exists()


# --- archives ---------------------------------------------------------------------------------------------------


def test_a_truncated_zip(run: Command, replica_online: Path, replica_zip: Path, given: Path) -> None:
    data = replica_zip.read_bytes()
    (given / "AGIQA-3K.zip").write_bytes(data[: len(data) * 6 // 10])
    told = refused(run, given, ID, given / "AGIQA-3K.zip", table_file(given), code=5)
    assert "AGIQA-3K.zip" in told


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_a_truncated_tar(
    run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path, suffix: str
) -> None:
    path = replicas.archive(given / f"set{suffix}", replicas.members("flat", pictures))
    os.truncate(path, path.stat().st_size * 7 // 10)
    told = refused(run, given, ID, path, table_file(given), code=5)
    assert f"set{suffix}" in told


def test_a_zip_with_damaged_bytes(run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path) -> None:
    path = given / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in replicas.members("flat", pictures):
            archive.writestr(name, data)
        place = archive.getinfo("glide_normal_000.jpg").header_offset + 200
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    told = refused(run, given, ID, path, table_file(given), code=5)
    assert "glide_normal_000.jpg" in told


def test_a_foreign_archive(run: Command, replica_online: Path, given: Path) -> None:
    names = [f"all/picture{number}.png" for number in range(2400)]
    path = replicas.archive(given / "AGIQA-3K.zip", [(name, b"\x89PNG") for name in names])
    told = refused(run, given, ID, path, table_file(given), code=5)
    assert "all/picture0.png" in told, "what was found"
    assert ".jpg" in told, "what was expected"
    assert "AGIQA-3K.zip" in told
    refused(run, given, path, code=5)


def test_a_foreign_archive_beside_the_right_one(
    run: Command, replica_online: Path, replica_zip: Path, given: Path
) -> None:
    path = replicas.archive(given / "foreign.zip", [("all/0.png", b"\x89PNG")])
    told = refused(run, given, ID, replica_zip, path, table_file(given), code=5)
    assert "foreign.zip" in told


@pytest.mark.parametrize("name", ["AGIQA-3K.zip", "data.csv"])
def test_a_web_page(run: Command, replica_online: Path, given: Path, name: str) -> None:
    (given / name).write_bytes(PAGE)
    for words in ([ID, given / name], [given / name]):
        told = refused(run, given, *words, code=5)
        assert "web page" in told
        assert "Baidu: enter the code" in told
        assert name in told


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"no,such\ntable,here\n"], ids=["empty", "zeros", "table"])
def test_a_file_that_is_nothing(
    run: Command, replica_online: Path, replica_zip: Path, given: Path, content: bytes
) -> None:
    path = given / "AGIQA-3K.zip"
    path.write_bytes(content)
    told = refused(run, given, ID, path, replica_zip, table_file(given), code=5)
    assert str(path.name) in told
    assert ("empty" in told) == (not content)
    refused(run, given, path, code=5)


def test_an_empty_folder(run: Command, replica_online: Path, given: Path) -> None:
    (given / "unpacked").mkdir()
    refused(run, given, ID, given / "unpacked", table_file(given), code=5)


def test_an_image_is_missing(run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path) -> None:
    some = {name: data for name, data in pictures.items() if name != "xl2.2_normal_123.jpg"}
    path = replicas.archive(given / "AGIQA-3K.zip", replicas.members("flat", some, with_junk=True))
    told = refused(run, given, ID, path, table_file(given), code=4)
    for part in ("xl2.2_normal_123.jpg", "2981", "2982", "AGIQA-3K.zip"):
        assert part in told


@pytest.mark.parametrize(
    "content", [b"<html>404 Not Found</html>", b"\xff\xd8\xff\xe0", b""], ids=["page", "cut", "empty"]
)
def test_an_image_is_none(
    run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path, content: bytes
) -> None:
    members = replicas.members("flat", pictures | {"DALLE2_normal_001.jpg": content})
    told = refused(run, given, ID, replicas.archive(given / "set.zip", members), table_file(given), code=4)
    assert "DALLE2_normal_001.jpg" in told


@pytest.mark.parametrize("where", ["one archive", "two archives"])
def test_a_name_stands_twice_with_other_bytes(
    run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path, where: str
) -> None:
    name = "midjourney_normal_007.jpg"
    first, second = replicas.members("images", pictures), [(f"old/{name}", replicas.image("another"))]
    if where == "one archive":
        paths = [replicas.archive(given / "set.zip", first + second)]
    else:
        paths = [replicas.archive(given / "set.zip", first), replicas.archive(given / "more.tar", second)]
    told = refused(run, given, ID, *paths, table_file(given), code=4)
    assert name in told
    assert "different bytes" in told


def test_a_name_that_leads_outside(run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path) -> None:
    members = [*replicas.members("flat", pictures), ("../../outside.jpg", b"x")]
    told = refused(run, given, ID, replicas.archive(given / "set.zip", members), table_file(given), code=5)
    assert "outside.jpg" in told
    assert not list(run.root.parent.rglob("outside.jpg"))


def test_what_is_installed_stays(run: Command, replica_online: Path, replica_zip: Path, given: Path) -> None:
    run("import", ID, replica_zip, code=0)
    before = snapshot(run.root / ID, run.root / "index.csv", run.root / ".aigiqa/installed")
    data = replica_zip.read_bytes()
    (given / "AGIQA-3K.zip").write_bytes(data[: len(data) // 2])
    run("import", ID, given / "AGIQA-3K.zip", code=5)
    run("import", ID, table_file(given, edited(100, "mos_quality", "7.5")), code=5)
    assert snapshot(run.root / ID, run.root / "index.csv", run.root / ".aigiqa/installed") == before
    assert not list((run.root / ".aigiqa/staging").iterdir())
    run("verify", code=0)


# --- label tables -----------------------------------------------------------------------------------------------


def lines() -> list[bytes]:
    return replicas.true_labels().split(b"\r\n")[:-1]


def joined(listed: list[bytes]) -> bytes:
    return b"\r\n".join([*listed, b""])


def edited(line: int, column: str, value: str) -> bytes:
    """The true table with one other cell; `line` as editors count, the header is line 1."""
    rows = list(csv.reader(io.StringIO(replicas.true_labels().decode(), newline="")))
    assert rows[line - 1][rows[0].index(column)] != value
    rows[line - 1][rows[0].index(column)] = value
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def without_column(name: str) -> bytes:
    rows = list(csv.DictReader(io.StringIO(replicas.true_labels().decode(), newline="")))
    text = io.StringIO()
    kept = [column for column in rows[0] if column != name]
    writer = csv.DictWriter(text, kept, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def look_alike() -> bytes:
    """SC-AGIQA's file of the same name: three more columns."""
    header, *rows = lines()
    return joined([header + b",consistency,consistency2,answer", *(row + b",0.5,0.5,yes" for row in rows)])


REFUSED: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "missing column": (lambda: without_column("style"), ["style"]),
    "missing score column": (lambda: without_column("mos_align"), ["mos_align"]),
    "renamed column": (
        lambda: replicas.true_labels().replace(b",mos_quality,", b",MOS,", 1),
        ["mos_quality", "MOS"],
    ),
    "columns in another order": (
        lambda: replicas.true_labels().replace(b"adj1,adj2,", b"adj2,adj1,", 1),
        ["adj2,adj1"],
    ),
    "look-alike of SC-AGIQA": (look_alike, ["consistency", "consistency2", "answer"]),
    "row too many": (
        lambda: joined([*lines(), lines()[-1].replace(b"xl2.2_normal_299", b"xl2.2_normal_300")]),
        ["2982", "2983"],
    ),
    "row too few": (lambda: joined(lines()[:-1]), ["2982", "2981"]),
    "no rows": (lambda: joined(lines()[:1]), ["2982", "0"]),
    "row twice": (
        lambda: joined([*lines()[:200], lines()[150], *lines()[200:]]),
        [":201", "AttnGAN_normal_149.jpg", ":151"],
    ),
    "score too high": (lambda: edited(100, "mos_quality", "7.5"), [":100", "mos_quality", "7.5", "0 to 5"]),
    "score too low": (lambda: edited(100, "mos_align", "-0.25"), [":100", "mos_align", "-0.25"]),
    "negative deviation": (lambda: edited(2983, "std_align", "-0.5"), [":2983", "std_align", "-0.5"]),
    "word for a score": (lambda: edited(7, "mos_align", "n/a"), [":7", "mos_align", "n/a"]),
    "not a number": (lambda: edited(7, "mos_quality", "nan"), [":7", "mos_quality", "nan"]),
    "infinity": (lambda: edited(7, "std_quality", "inf"), [":7", "std_quality", "inf"]),
    "comma for a point": (lambda: edited(7, "mos_quality", "2,5"), [":7", "mos_quality", "2,5"]),
    "no score": (lambda: edited(7, "mos_quality", ""), [":7", "mos_quality"]),
    "unknown model": (
        lambda: edited(2, "name", "dalle3_normal_000.jpg"),
        [":2", "name", "dalle3_normal_000.jpg"],
    ),
    "name that leads outside": (lambda: edited(2, "name", "../AttnGAN_normal_000.jpg"), [":2", "name"]),
    "other encoding": (
        lambda: replicas.true_labels().replace(b"statue of a man", b"statue of a m\xe4n", 1),
        [":2", "0xe4"],
    ),
    "zero byte": (lambda: replicas.true_labels().replace(b"statue of a man", b"statue\0of a man", 1), [":2"]),
    "cell too many": (lambda: replicas.true_labels().replace(b",0.965602553", b",,0.965602553", 1), [":2", "9", "10"]),
    "open quote": (lambda: replicas.true_labels().replace(b",statue of a man,", b',"statue of a man,', 1), [""]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_breaks_a_rule(run: Command, replica_online: Path, given: Path, case: str) -> None:
    make, parts = REFUSED[case]
    data = make()
    assert data != replicas.true_labels()
    told = refused(run, given, ID, table_file(given, data), code=5)
    for part in ("data.csv", *parts):
        assert part in told, part


def test_a_refusal_as_data(run: Command, replica_online: Path, replica_zip: Path, given: Path) -> None:
    table = table_file(given, edited(100, "mos_quality", "7.5"))
    envelope = run("import", ID, table, replica_zip, "--json", code=5).json()
    assert (envelope["status"], envelope["error"]["kind"], envelope["error"]["exit_code"]) == ("error", "refused", 5)
    (finding,) = envelope["findings"]
    assert (finding["database"], finding["path"], finding["found"]) == (ID, "data.csv:100", "7.5")
    assert "mos_quality" in finding["problem"]
    assert nothing_installed(run)


@pytest.mark.parametrize("case", ["missing column", "look-alike of SC-AGIQA"])
def test_a_table_of_nobody(run: Command, replica_online: Path, given: Path, case: str) -> None:
    """Without the database named, its header gives it away all the same."""
    told = refused(run, given, table_file(given, REFUSED[case][0]()), code=5)
    assert "data.csv" in told


def test_a_table_inside_the_archive_is_held_to_the_same_rules(
    run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path
) -> None:
    members = [*replicas.members("img", pictures), ("set/data.csv", edited(100, "mos_quality", "7.5"))]
    told = refused(run, given, ID, replicas.archive(given / "set.zip", members), code=5)
    for part in ("data.csv:100", "mos_quality", "7.5"):
        assert part in told


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [(100, "std_quality", "0.123456"), (100, "adj1", "warm colour"), (1000, "prompt", "a red square")],
)
def test_an_edited_cell_within_every_rule(
    run: Command, replica_online: Path, replica_zip: Path, given: Path, line: int, column: str, value: str
) -> None:
    """No rule speaks against it, only the checksum does (a new prompt is one too many)."""
    code = 5 if column == "prompt" else 4
    told = refused(run, given, ID, table_file(given, edited(line, column, value)), replica_zip, code=code)
    assert "data.csv" in told or code == 5
    if code == 4:
        assert "4b1945c2137e196d9378b9cf4a114de2267b97a4724f0743e260287eb2ddd6c0" in told


def test_two_scores_that_change_places(run: Command, replica_online: Path, replica_zip: Path, given: Path) -> None:
    """Counts, sums, smallest and largest are all the same: only the checksum tells."""
    rows = list(csv.reader(io.StringIO(replicas.true_labels().decode(), newline="")))
    column = rows[0].index("mos_quality")
    rows[5][column], rows[6][column] = rows[6][column], rows[5][column]
    assert rows[5][column] != rows[6][column]
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    told = refused(run, given, ID, table_file(given, text.getvalue().encode()), replica_zip, code=4)
    assert "4b1945c2137e196d9378b9cf4a114de2267b97a4724f0743e260287eb2ddd6c0" in told


# --- a disk that is too small -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(run: Command, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`small_disk("size=3m")` mounts a file system there and puts the root on it."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        run.root = place / "root"
        run.environment["AIGIQA_ROOT"] = str(run.root)
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)


def free(place: Path) -> int:
    about = os.statvfs(place)
    return about.f_bavail * about.f_frsize


@pytest.mark.parametrize("size", ["1m", "4m"], ids=["no room for the archive", "no room for what is in it"])
def test_no_space_is_told_before_the_first_byte(
    run: Command, replica_online: Path, replica_zip: Path, small_disk: Callable[[str], Path], size: str
) -> None:
    place = small_disk(f"size={size}")
    done = run("fetch", ID, code=7)
    assert run.box.paths() == []
    assert nothing_installed(run)
    numbers = [int(word.strip(",.").replace(",", "")) for word in done.err.split() if word.strip(",.")[:1].isdigit()]
    assert any(number >= replica_zip.stat().st_size for number in numbers), "what is needed"
    assert any(0 < number <= int(size[:-1]) << 20 for number in numbers), "what is free"
    assert free(place) > (int(size[:-1]) << 20) * 0.9
    error = run("fetch", ID, "--json", code=7).json()["error"]
    assert (error["kind"], error["database"]) == ("machine", ID)


def test_no_space_for_an_import(
    run: Command, replica_online: Path, replica_zip: Path, given: Path, small_disk: Callable[[str], Path]
) -> None:
    small_disk("size=2m")
    table = table_file(given)
    done = run("import", ID, replica_zip, table, code=7)
    assert "free" in done.err
    assert nothing_installed(run)


def test_no_space_while_unpacking(
    run: Command, replica_online: Path, pictures: dict[str, bytes], given: Path, small_disk: Callable[[str], Path]
) -> None:
    """What cannot be foreseen (blocks are larger than files) ends the same way, and leaves nothing."""
    place = small_disk("size=8m")
    folder = replicas.folder(given / "loose", replicas.members("flat", pictures))
    before = snapshot(given)
    done = run("import", ID, folder, table_file(given / "table"), code=7)
    assert "space" in done.err
    assert nothing_installed(run)
    assert free(place) > 7 << 20
    assert snapshot(folder) == {path: about for path, about in before.items() if path.startswith(str(folder))}


def test_no_inodes(run: Command, replica_online: Path, replica_zip: Path, small_disk: Callable[[str], Path]) -> None:
    small_disk("size=64m,nr_inodes=2k")
    done = run("fetch", ID, code=7)
    assert "inode" in done.err
    assert run.box.paths() == []
    assert nothing_installed(run)


# --- pipelines --------------------------------------------------------------------------------------------------


def shell(home: Command, script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script in which `aigiqa` is the command."""
    head = f'set -o pipefail; aigiqa() {{ "{sys.executable}" -m aigiqa_cli "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", head + script],
        env=home.environment,
        cwd=home.work,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (f"aigiqa export {ID} --format csv", 2),
        (f"aigiqa export {ID} --format tsv", 1),
        (f"aigiqa export {ID} --format jsonl", 1),
        ("aigiqa index --cat", 1),
        ("aigiqa list", 1),
        (f"aigiqa info {ID}", 1),
        (f"aigiqa export {ID} --format parquet -o -", 0),
        ("aigiqa --help", 1),
    ],
)
def test_a_reader_that_has_enough_is_no_failure(home: Command, command: str, count: int) -> None:
    done = shell(home, f'{command} | head -n {count}; echo "${{PIPESTATUS[*]}}" >&2')
    assert done.stderr.decode().splitlines()[-1] == "0 0"
    noise = done.stderr.decode().splitlines()[:-1]
    assert [line for line in noise if "comes from" not in line and "published results" not in line] == []
    assert done.stdout.count(b"\n") == count


def test_the_first_two_lines(home: Command) -> None:
    done = shell(home, f"aigiqa export {ID} --format csv | head -2")
    header, first = done.stdout.decode().splitlines()
    assert header.split(",") == COLUMNS
    assert first.startswith(f"{ID},AttnGAN_normal_000.jpg,{ID}/images/AttnGAN_normal_000.jpg,,t2i,statue of a man,")
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_full_disk_behind_stdout_is_no_success(home: Command) -> None:
    done = shell(home, f"aigiqa export {ID} --format csv > /dev/full")
    assert done.returncode == 7, done.stderr
    assert b"Traceback" not in done.stderr


def test_parquet_through_a_pipe(home: Command, tmp_path: Path) -> None:
    done = shell(home, f"aigiqa export {ID} --format parquet -o - | cat > {tmp_path}/index.parquet")
    assert (done.returncode, done.stderr) == (0, b"")
    table = pyarrow.parquet.read_table(tmp_path / "index.parquet")
    assert (table.num_rows, table.column_names) == (2982, COLUMNS)
    types = {name: str(table.schema.field(name).type) for name in ("mos_quality", "score_alignment", "row", "bytes")}
    assert types == {"mos_quality": "double", "score_alignment": "double", "row": "int64", "bytes": "int64"}
    rows = published()
    assert table["mos_quality"].to_pylist() == [float(row["mos_quality"]) for row in rows]
    assert table["mos_alignment"].to_pylist() == [float(row["mos_align"]) for row in rows]
    assert table["prompt"].to_pylist() == [row["prompt"] for row in rows]
    assert table["mos_overall"].null_count == 2982


def test_parquet_to_a_file_prints_its_path(home: Command) -> None:
    done = home("export", "--format", "parquet", code=0)
    path = home.work / done.out.strip()
    assert path.name == "aigiqa.parquet"
    assert pyarrow.parquet.read_metadata(path).num_rows == 2982


def test_jsonl_is_typed(home: Command) -> None:
    rows = [json.loads(line) for line in home("export", ID, "--format", "jsonl", code=0).out.splitlines()]
    assert len(rows) == 2982
    assert rows[0]["mos_quality"] == 0.965602553
    assert (rows[0]["row"], rows[0]["mos_overall"]) == (0, None)
    assert rows[60]["extra"] == {name: published()[60][name] for name in ("adj1", "adj2", "style")}


def test_csv_readers_agree(home: Command) -> None:
    path = home("index", code=0).out.strip()
    assert path == str(home.root / "index.csv")
    ours = read_csv(Path(path))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert frame.to_dict("records") == ours
    duck = duckdb.connect()
    found = duck.execute("SELECT * FROM read_csv(?, all_varchar=true, header=true)", [path]).fetchall()
    assert [tuple(value or "" for value in row) for row in found] == [tuple(row.values()) for row in ours]


def test_csv_readers_agree_on_numbers(home: Command) -> None:
    """As each of them reads it when nothing is said about types."""
    path = str(home.root / "index.csv")
    exact = [Decimal(row["mos_quality"]) for row in published()]
    frame = pd.read_csv(path)
    assert frame["mos_quality"].tolist() == [float(value) for value in exact]
    assert frame["row"].tolist() == list(range(2982))
    columns = "count(*), count(DISTINCT prompt_id), min(mos_quality), max(mos_quality), avg(mos_quality), typeof(any_value(row))"
    count, prompts, low, high, mean, kind = duckdb.connect().execute(f"SELECT {columns} FROM '{path}'").fetchone()
    assert (count, prompts, low, high, kind) == (2982, 300, float(min(exact)), float(max(exact)), "BIGINT")
    assert f"{mean:.6f}" == f"{sum(exact) / len(exact):.6f}" == "2.500417"


def test_conditions_see_numbers(home: Command) -> None:
    done = home(
        "export", ID, "--where", "generator = 'midjourney' AND mos_quality > 4", "--columns", "image_id", code=0
    )
    wanted = [
        row["name"] for row in published() if row["name"].startswith("midjourney") and Decimal(row["mos_quality"]) > 4
    ]
    assert done.out.splitlines() == ["image_id", *wanted]
    assert wanted


def test_tree_of_the_shared_root_was_only_read(home: Command) -> None:
    """The tests above read one root; it is still the one that was installed."""
    home("verify", code=0)
    assert len(tree(home.root / ID / "images")) == 2982
