"""Rows of indexes and records that lead astray, are of another version, or are none (X02, X04, X06, S14, S22, S23)."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import Command
from test_store import context, publish, root

from aigiqa_cli import root_index
from aigiqa_cli.context import Context
from aigiqa_cli.errors import IntegrityFault, RefusedInput
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.reporting import Silent
from aigiqa_cli.states import DAMAGED, state_of
from aigiqa_cli.steps.gc import collect
from aigiqa_cli.steps.remove import remove
from aigiqa_cli.steps.verify import verify
from aigiqa_cli.store import Root, installed_ids, read_record

__all__ = ["context", "root"]

# A record of format 1 as the first version wrote it. It must be readable for ever: do not change it, add to it.
FORMAT_1 = (
    '{"record":1,"database":"some","state":"installed","partial":false,"manifest_version":1,"manifest_sha256":"'
    + "1" * 64
    + '","aigiqa":"0.1.0","installed_at":"2026-01-01T00:00:00+00:00","rows":1,"images":1,"references":0,"index_sha256":"%s",'
    '"sources":[{"asset":"a.zip","role":"images","origin":"given by hand","name":"a.zip","bytes":5,"sha256":"'
    + "0"
    * 64
    + '","proof":"sha256"}],"files":[["index.csv",%d,"%s"],["images/a1.png",9,"%s"],["checksums.sha256",%d,"%s"]],"rejected":[],"ignored":2,'
    '"warnings":["w"],"splits":{"s":""}}\n'
)


def rewritten(root: Root, index: bytes) -> None:
    """Index and record forged together: every hash fits."""
    (root.folder("some") / "index.csv").write_bytes(index)
    record = json.loads(root.record("some").read_bytes())
    record.pop("seal")
    sha256 = hashlib.sha256(index).hexdigest()
    record["index_sha256"] = sha256
    record["files"] = [
        [name, len(index), sha256] if name == "index.csv" else [name, size, old] for name, size, old in record["files"]
    ]
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    seal = hashlib.sha256(text.encode()).hexdigest()
    root.record("some").write_text(text[:-1] + f',"seal":"{seal}"}}\n')


def with_cell(root: Root, column: str, value: str) -> bytes:
    with (root.folder("some") / "index.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    rows[0][COLUMNS.index(column)] = value
    return "".join(",".join(row) + "\n" for row in (header, *rows)).encode()


POISON = ["/etc/passwd", "../outside.png", "some/../../x.png", "other/images/a.png", "some/images/unknown.png", "images/a1.png",
          "some//images/a1.png", "some/images/../images/a1.png", "C:/x.png", "file:///etc/passwd", ".aigiqa/installed/some.json",
          "some/images/A1.PNG", "some/images"]  # fmt: skip


@pytest.mark.parametrize("path", POISON)
@pytest.mark.parametrize("column", ["image_path", "reference_path"])
def test_X02_a_row_that_leads_elsewhere_is_never_handed_out(
    root: Root, context: Context, column: str, path: str
) -> None:
    """Even where every hash fits: the loader takes only paths that are in the database's record."""
    record = publish(root)
    rewritten(root, with_cell(root, column, path))
    forged = read_record(root, "some")
    assert forged is not None
    assert forged != record
    with pytest.raises(IntegrityFault) as caught:
        list(root_index.rows(root, [forged]))
    assert (caught.value.fault, caught.value.database) == ("X02", "some")
    (finding,) = verify(context, "some").findings
    assert (finding.path, finding.problem, finding.found) == ("some/index.csv", root_index.LEADS_ASTRAY, path)
    assert root_index.rebuild(root, Silent()) == ["some"]
    assert path not in root.index.read_text()


def test_X02_a_row_of_another_database_is_not_its_own(root: Root) -> None:
    publish(root)
    rewritten(root, with_cell(root, "database", "other"))
    with pytest.raises(IntegrityFault) as caught:
        list(root_index.rows(root, [read_record(root, "some")]))  # type: ignore[list-item]
    assert caught.value.fault == "X02"


def test_X02_rows_that_are_its_own_are_handed_out(root: Root) -> None:
    record = publish(root)
    assert [row["image_path"] for row in root_index.rows(root, [record])] == ["some/images/a1.png"]


def test_X04_an_index_of_another_version_is_damage_and_stays_out(root: Root, context: Context) -> None:
    publish(root, version=1)
    old = (root.folder("some") / "index.csv").read_bytes()
    publish(root, version=2)
    publish(root, "other")
    (root.folder("some") / "index.csv").write_bytes(old)
    assert state_of(root, "some").word == DAMAGED
    assert root_index.rebuild(root, Silent()) == ["some"]
    with root.index.open(newline="") as stream:
        assert [row["database"] for row in csv.DictReader(stream)] == ["other"]
    assert [finding.path for finding in verify(context, "some").findings] == ["some/index.csv"]


@pytest.mark.parametrize(
    "name", ["..json", ".aigiqa.json", "index.csv.json", "A.json", "con.json", "a b.json", "....json"]
)
def test_X06_a_record_whose_name_is_no_database_is_none(root: Root, context: Context, name: str) -> None:
    """`..json` would be the record of the database `.`, whose folder is the root itself."""
    publish(root)
    content = json.loads(root.record("some").read_bytes()) | {"database": name.removesuffix(".json")}
    content.pop("seal")
    (root.installed / name).write_text(json.dumps(content))
    assert installed_ids(root) == ["some"]
    before = sorted(path for path in root.path.rglob("*") if path.is_file() and "locks" not in path.parts)
    collect(context, dry_run=False)
    assert set(before) <= {*root.path.rglob("*")}


def test_S23_a_record_of_format_1_is_read_for_ever(root: Root, context: Context) -> None:
    publish(root)
    index = (root.folder("some") / "index.csv").read_bytes()
    sha256, picture = hashlib.sha256(index).hexdigest(), hashlib.sha256(b"picture 1").hexdigest()
    checksums = (root.folder("some") / "checksums.sha256").read_bytes()
    listed = (len(checksums), hashlib.sha256(checksums).hexdigest())
    root.record("some").write_text(FORMAT_1 % (sha256, len(index), sha256, picture, *listed))
    record = read_record(root, "some")
    assert record is not None
    assert (record.rows, record.unpinned, record.splits) == (1, (), {"s": ""})
    assert verify(context, "some").findings == ()
    assert remove(context, "some").left == ()


@pytest.mark.parametrize("form", [0, -1, True, 1.0, "1", None])
def test_S23_X01_a_format_that_is_none(root: Root, form: object) -> None:
    publish(root)
    root.record("some").write_text(json.dumps(json.loads(root.record("some").read_bytes()) | {"record": form}))
    with pytest.raises(IntegrityFault) as caught:
        read_record(root, "some")
    assert caught.value.fault == "X01"


def test_S23_what_a_newer_version_installed_is_read_only(root: Root, context: Context) -> None:
    """gc keeps its archives, remove and verify refuse it, its folder and record stay byte for byte."""
    publish(root)
    publish(root, "other")
    newer = json.loads(root.record("some").read_bytes()) | {"record": 2, "novelty": {"x": 1}}
    root.record("some").write_text(json.dumps(newer))
    (root.archives / ("0" * 64)).write_bytes(b"kept for some, or for other")
    (root.archives / ("5" * 64)).write_bytes(b"kept for what only the newer record names")
    before = {
        path: path.read_bytes() for path in (*root.folder("some").rglob("*"), root.record("some")) if path.is_file()
    }
    for step in (verify, remove):
        with pytest.raises(RefusedInput) as caught:
            step(context, "some")
        assert (caught.value.fault, int(caught.value.exit_code)) == ("S23", 5)
    collect(context, dry_run=False)
    assert (root.archives / ("5" * 64)).exists()
    assert {path: path.read_bytes() for path in before} == before
    assert "some" in root_index.rebuild(root, Silent()), "it is told that its rows are not in the root index"


def test_S23_by_command(run: Command) -> None:
    run("fetch", "demo", code=0)
    path = run.root / ".aigiqa/installed/demo.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"record": 2}))
    before = path.read_bytes()
    for words in (["verify", "demo"], ["remove", "demo"], ["fetch", "demo"], ["fetch", "--force", "demo"]):
        found = run(*words, "--json", code=5).json()
        assert found["error"]["fault"] == "S23", words
        assert "upgrade" in found["error"]["hint"]
    run("list", code=0)
    assert path.read_bytes() == before


def test_S14_S22_a_changed_file_with_the_longest_name_goes_to_quarantine(root: Root, context: Context) -> None:
    """What stands before its name in quarantine must not make the name too long."""
    record = publish(root)
    name = "x" * 250 + ".png"
    forged = json.loads(root.record("some").read_bytes())
    forged.pop("seal")
    forged["files"].append([f"images/{name}", 4, hashlib.sha256(b"true").hexdigest()])
    root.record("some").write_text(json.dumps(forged))
    (root.folder("some") / "images" / name).write_bytes(b"changed")
    removed = remove(context, "some")
    assert [Path(path).read_bytes() for path in removed.quarantined] == [b"changed"]
    assert removed.quarantined[0].endswith(".png")
    assert record.database == "some"


def test_U06_file_names_that_no_encoding_knows(run: Command) -> None:
    """A foreign file below the root with a name that is no UTF-8: found, told in escapes, never touched."""
    run("fetch", "demo", code=0)
    raw = os.fsencode(run.root / "demo" / "images") + b"/caf\xe9\x1b[31m.png"
    with open(raw, "wb") as stream:
        stream.write(b"mine")
    done = run("verify", "demo", code=4)
    assert "\\udce9" in done.err
    assert "\x1b" not in done.err + done.out
    found = run("verify", "demo", "--json", code=4).json()
    assert [os.fsencode(finding["path"]) for finding in found["findings"]] == [b"demo/images/caf\xe9\x1b[31m.png"]
    for words in (["verify", "--repair", "demo"], ["doctor"], ["gc"], ["list"], ["index", "--rebuild"]):
        assert "Traceback" not in run(*words).err
    run("fetch", "--force", "demo", code=0)
    with open(raw, "rb") as stream:
        assert stream.read() == b"mine"
    assert "\x1b" not in run("remove", "demo", code=0).err
    with open(raw, "rb") as stream:
        assert stream.read() == b"mine", "P5: nothing of the user is lost"


def test_U06_paths_that_no_encoding_knows_as_arguments(run: Command, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.zip")
    Path(odd).write_bytes(b"no archive at all")
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/f\xe9")
    Path(folder).mkdir()
    Path(folder, "x.png").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xe9.png")).write_bytes(b"x")
    for given in (odd, folder):
        done = run("import", "demo", given)
        assert done.code == 5, done.err
        assert "Traceback" not in done.err
        assert run("import", "demo", given, "--json").json()["error"]["exit_code"] == 5


def test_T14_pickles_are_never_opened(run: Command, tmp_path: Path) -> None:
    """What a pickle does when it is opened: it touches a file. Under every name by which they travel."""
    canary = tmp_path / "canary"
    payload = b"cposix\nsystem\n(S'touch %s'\ntR." % os.fsencode(canary)
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    npy = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + head.ljust(117) + b"\n" + payload
    given = []
    for name in (
        "scores.pkl",
        "scores.npy",
        "scores.pt",
        "scores.joblib",
        "scores.csv",
        "scores.mat",
        "scores.xlsx",
        "scores.json",
    ):
        path = tmp_path / name
        path.write_bytes(npy if name.endswith("npy") else payload)
        given.append(path)
    assert shutil.which("touch")
    for words in (["import", "demo", *given], ["import", *given]):
        assert run(*words).code == 5
    assert not canary.exists()


def test_U07_json_alone_on_stdout(run: Command, tmp_path: Path) -> None:
    """Every command, well and ill, with nothing but one JSON object on stdout, whatever else is said."""
    matrix: list[tuple[list[str], int]] = [
        (["fetch", "demo"], 0), (["list"], 0), (["info", "demo"], 0), (["verify"], 0), (["verify", "--decode", "demo"], 0),
        (["index"], 0), (["index", "--rebuild"], 0), (["path", "demo"], 0), (["cite", "demo"], 0), (["gc"], 0), (["gc", "--dry-run"], 0),
        (["lint"], 0), (["export", "demo", "-o", str(tmp_path / "x.csv")], 0), (["export", "demo"], 2), (["fetch", "nonsense"], 2),
        (["fetch"], 2), (["nonsense"], 2), (["verify", "--nonsense"], 2), (["import", "demo", str(tmp_path / "none.zip")], 2),
        (["fetch", "demo", "--dry-run"], 0), (["fetch", "demo", "--force", "-v"], 0), (["remove", "demo"], 0), (["remove", "demo"], 2),
    ]  # fmt: skip
    for words, code in matrix:
        done = run(*words, "--json")
        assert done.code == code, (words, done.err)
        found = done.json()
        assert found["status"] == ("ok" if code == 0 else "error"), words
        assert (found["error"] or {"exit_code": 0})["exit_code"] == code
        assert run(words[0], "--json", *words[1:]).json()["command"] == found["command"] or words[0] == "remove"


def test_T16_the_export_for_spreadsheets_says_what_it_is(run: Command) -> None:
    run("fetch", "demo", code=0)
    plain = run("export", "demo", code=0)
    assert run("export", "demo", "--spreadsheet", code=0).out == plain.out, "there is no formula in it"
    assert "not for reading back" in run("export", "demo", "--spreadsheet", code=0).err
    run("export", "demo", "--format", "jsonl", "--spreadsheet", code=2)
