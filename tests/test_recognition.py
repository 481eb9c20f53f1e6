"""What `import` takes a person's files for: folders and archives of labels alone, parts, copies, and things that are
no files of a database at all."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command
from replicas import images
from test_agiqa3k_import import nothing_installed
from tiny import MODELS, PROMPTS, tiny_manifest
from tiny import small_labels as as_in_agiqa3k

NAMES = [f"{model}_{number:03}.jpg" for model in MODELS for number in range(len(PROMPTS))]


def small_labels() -> bytes:
    """A header that no other database has."""
    return as_in_agiqa3k().replace(b"adj1,adj2", b"word1,word2")


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return images(NAMES)


@pytest.fixture
def tiny(run: Command, manifests: Callable[[str, str], Path], drawn: dict[str, bytes], tmp_path: Path) -> Path:
    """A folder of downloads; the manifest of `tiny` pins nothing, so only content tells what is what."""
    manifests("tiny", tiny_manifest(b"", pinned=False).replace("adj1, adj2", "word1, word2"))
    folder = tmp_path / "Downloads"
    folder.mkdir()
    return folder


def packed(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def put(folder: Path, **files: bytes) -> list[Path]:
    paths = []
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


def state(run: Command) -> tuple[str, int]:
    item = next(i for i in run("list", "--json", code=0).json()["data"] if i["id"] == "tiny")
    rows = run("export", "tiny", "--format", "jsonl", code=0).out.splitlines()
    return item["state"].partition(" ")[0], len(rows)


# --- labels alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("shape", ["folder", "archive", "archive in a folder"])
def test_what_holds_label_tables_alone_is_labels(run: Command, tiny: Path, shape: str, named: bool) -> None:
    """As a clone of a repository, and what GitHub packs of it."""
    clone = {"tiny-main/README.md": b"# Tiny", "tiny-main/data.csv": small_labels()}
    if shape == "folder":
        put(tiny, **{f"clone/{name}": data for name, data in clone.items()})
    elif shape == "archive":
        put(tiny, clone=packed(clone))
    else:
        put(tiny, **{"clone/tiny-main.zip": packed(clone)})
    words = ["tiny"] if named else []
    done = run("import", *words, tiny / "clone", code=0)
    assert "images of tiny are still missing" in done.err
    assert state(run) == ("labels", 12)


def test_json_in_one_long_line_is_text() -> None:
    from aigiqa_cli import tables

    assert tables.is_text(b'{"a": "' + b"x" * (1 << 16))
    assert tables.is_text(b'\xef\xbb\xbf [{"id": 1}]')
    assert not tables.is_text(b"\x00\x01\x02")


# --- copies and look-alikes -------------------------------------------------------------------------------------


def test_T05_two_different_tables_for_one_are_not_guessed(run: Command, tiny: Path) -> None:
    other = small_labels().replace(b"0.125000", b"0.375000")
    first, second = put(tiny, **{"data.csv": small_labels(), "data (1).csv": other})
    for words in (("tiny", first, second), (second, first)):
        done = run("import", *words, code=5)
        assert "two different files" in done.err
        assert "data (1).csv" in done.err
        assert nothing_installed(run)


def test_the_same_table_twice_is_one(run: Command, tiny: Path) -> None:
    paths = put(tiny, **{"data.csv": small_labels(), "data (1).csv": small_labels()})
    run("import", *paths, code=0)
    assert state(run) == ("labels", 12)


def test_a_table_under_any_name_is_told_by_its_header(run: Command, tiny: Path, drawn: dict[str, bytes]) -> None:
    paths = put(tiny, **{"scores of a colleague.txt": small_labels(), "all of it.bin": packed(drawn)})
    run("import", *paths, code=0)
    assert state(run) == ("installed", 12)


# --- parts and nests --------------------------------------------------------------------------------------------


def parts(drawn: dict[str, bytes], *cuts: int) -> list[dict[str, bytes]]:
    names, edges = list(drawn), [0, *cuts, len(drawn)]
    return [{name: drawn[name] for name in names[a:b]} for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("cuts", [(6,), (3, 6, 9), (8, 10)])
def test_parts_of_a_set_of_images_are_known_by_their_union(
    run: Command, tiny: Path, drawn: dict[str, bytes], cuts: tuple[int, ...]
) -> None:
    """Six zips, one for each generator, or train, val and test: no single one is half of the database."""
    put(tiny, **{"data.csv": small_labels()})
    for number, part in enumerate(parts(drawn, *cuts)):
        put(tiny, **{f"part{number}.zip": packed(part)})
    run("import", *sorted(tiny.iterdir()), code=0)
    assert state(run) == ("installed", 12)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("beside", ["nothing", "tables", "a picture of a cat"])
def test_A11_an_archive_in_an_archive(
    run: Command, tiny: Path, drawn: dict[str, bytes], beside: str, named: bool
) -> None:
    extra = {
        "nothing": {},
        "tables": {"data.csv": small_labels(), "README.txt": b"hello"},
        "a picture of a cat": {"teaser/cat.png": next(iter(drawn.values()))},
    }[beside]
    outer, table = put(
        tiny, **{"outer.zip": packed({"in/tiny.zip": packed(drawn), **extra}), "data.csv": small_labels()}
    )
    words: list[object] = ["tiny"] if named else []
    run("import", *words, outer, table, code=0)
    assert state(run) == ("installed", 12)


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_of_downloads_is_what_lies_in_it(
    run: Command, tiny: Path, drawn: dict[str, bytes], named: bool
) -> None:
    put(tiny, **{"tiny.zip": packed(drawn), "data.csv": small_labels(), ".DS_Store": b"x", "~$data.xlsx": b"lock"})
    words: list[object] = ["tiny"] if named else []
    run("import", *words, tiny, code=0)
    assert state(run) == ("installed", 12)
    assert sorted(path.name for path in tiny.iterdir()) == [".DS_Store", "data.csv", "tiny.zip", "~$data.xlsx"]


# --- no files of a database -------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_lock_files_are_passed_over(run: Command, tiny: Path, drawn: dict[str, bytes], named: bool) -> None:
    """`aigiqa import *` in the folder itself: `~$` is no home of anybody."""
    put(tiny, **{"~$data.xlsx": b"\x05user", "desktop.ini": b"[x]", "data.csv": small_labels(), "t.zip": packed(drawn)})
    names = sorted(path.name for path in tiny.iterdir())
    run.work = tiny
    words = ["tiny"] if named else []
    done = run("import", *words, *names, code=0)
    assert "lock file of an open workbook" in done.err
    assert state(run) == ("installed", 12)


def test_a_pointer_is_not_the_file(run: Command, tiny: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"5" * 64 + b"\nsize 123456789\n"
    (path,) = put(tiny, **{"tiny.zip": pointer})
    for words in (("tiny", path), (path,)):
        done = run("import", *words, code=3)
        assert "Git LFS pointer" in done.err
        assert "123,456,789 bytes" in done.err
        assert "git lfs pull" in done.err
    assert nothing_installed(run)


@pytest.mark.parametrize("broken", ["cut", "page"])
def test_labels_are_not_installed_alone_beside_what_cannot_be_opened(
    run: Command, tiny: Path, drawn: dict[str, bytes], broken: str
) -> None:
    bad = packed(drawn)[:-200] if broken == "cut" else b"<!DOCTYPE html><title>Sign in</title>" + b" " * 999
    paths = put(tiny, **{"data.csv": small_labels(), "tiny.zip": bad})
    done = run("import", *paths, code=5)
    assert "tiny.zip" in done.err
    assert nothing_installed(run)


def test_the_next_command_repeats_what_was_given(run: Command, tiny: Path, drawn: dict[str, bytes]) -> None:
    """Without its table the archive alone is not enough, and the table alone would not be either."""
    (path,) = put(tiny, **{"tiny.zip": packed(drawn)})
    done = run("import", path)
    assert done.code in (3, 6)
    assert "the label table data.csv was not given" in done.err
    assert f"aigiqa import tiny {path} ~/Downloads/data.csv" in " ".join(done.err.split())
    assert nothing_installed(run)


def test_what_belongs_nowhere_is_listed_once(run: Command, tiny: Path, drawn: dict[str, bytes]) -> None:
    put(tiny, **{"tiny.zip": packed(drawn), "data.csv": small_labels(), "song.mp3": b"ID3\x04" * 99, "empty": b""})
    done = run("import", *sorted(tiny.iterdir()), code=0)
    assert "2 paths belong to no database" in done.err
    assert "song.mp3" in done.err
    assert "it is empty" in done.err


def test_N27_volumes_that_a_browser_renamed(run: Command, tiny: Path, drawn: dict[str, bytes]) -> None:
    """`x.7z (1).003` beside `x.7z.001` and `x.7z.002`; the first download of the third was deleted."""
    data = packed(drawn)
    third = -(-len(data) // 3)
    names = ("t.zip.001", "t (1).zip.002", "t.zip (2).003")
    paths = put(tiny, **{name: data[n * third : (n + 1) * third] for n, name in enumerate(names)})
    put(tiny, **{"data.csv": small_labels()})
    for given in (paths, paths[:1], paths[2:]):
        run("import", "tiny", *given, tiny / "data.csv", code=0)
        assert state(run) == ("installed", 12)
        run("remove", "tiny", code=0)


def test_A23_the_folder_in_which_one_stands_has_a_name(run: Command, tiny: Path) -> None:
    put(tiny, **{"notes.txt": b"hello"})
    run.work = tiny
    assert "Downloads holds nothing of Tiny" in run("import", "tiny", ".", code=5).err


def test_A23_a_folder_of_nothing_but_foreign_archives(run: Command, tiny: Path) -> None:
    put(tiny, **{"cats.zip": packed({"cats/1.gif": b"GIF89a"}), "page.zip": b"<!DOCTYPE html><title>x</title>"})
    done = run("import", "tiny", tiny, code=5)
    assert f"{tiny} holds nothing of Tiny" in done.err
    assert "aigiqa info tiny" in done.err
    assert nothing_installed(run)


def test_A23_a_table_that_has_only_the_name_says_so(
    run: Command, tiny: Path, manifests: Callable[[str, str], Path]
) -> None:
    manifests("tiny", tiny_manifest(b"", small_labels()).replace("adj1, adj2", "word1, word2"))
    (path,) = put(tiny, **{"data.csv": b"1,2,3\n4,5,6\n"})
    done = run("import", "tiny", path, code=5)
    assert "it has the name of data.csv, and neither its header nor its published hash" in " ".join(done.err.split())


def test_A23_a_folder_of_foreign_pictures_is_no_labels(run: Command, tiny: Path, drawn: dict[str, bytes]) -> None:
    put(tiny, **{"holidays/beach.jpg": next(iter(drawn.values()))})
    run("import", "tiny", tiny / "holidays", code=5)
    assert nothing_installed(run)


# --- after a last reading of the whole --------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_of_downloads_may_hold_other_things(
    run: Command, tiny: Path, drawn: dict[str, bytes], named: bool
) -> None:
    """Notes, music, pages, another database's table: they are passed over, as with `import FOLDER/*`."""
    put(
        tiny, **{"t.zip": packed(drawn), "data.csv": small_labels(), "notes.txt": b"hello", "song.mp3": b"ID3\x04" * 99}
    )
    put(tiny, **{"cats.zip": packed({"cats/1.gif": b"GIF89a"}), "page.zip": b"<!DOCTYPE html><title>x</title>"})
    words: list[object] = ["tiny"] if named else []
    run("import", *words, tiny, code=0)
    assert state(run) == ("installed", 12)


@pytest.mark.parametrize("shape", ["folder", "archive"])
def test_labels_over_an_installed_database_keep_its_images(
    run: Command, tiny: Path, drawn: dict[str, bytes], shape: str
) -> None:
    images_zip, table = put(tiny, **{"t.zip": packed(drawn), "data.csv": small_labels()})
    run("import", "tiny", images_zip, table, code=0)
    clone = {"tiny-main/data.csv": small_labels()}
    (given,) = (
        put(tiny, clone=packed(clone))
        if shape == "archive"
        else put(tiny, **{"clone/tiny-main/data.csv": small_labels()})
    )
    run("import", "tiny", given if shape == "archive" else tiny / "clone", code=0)
    assert state(run) == ("installed", 12)


@pytest.mark.parametrize("named", [True, False])
def test_a_container_of_labels_vouches_for_nothing_and_spoils_nothing(
    run: Command, tiny: Path, drawn: dict[str, bytes], manifests: Callable[[str, str], Path], named: bool
) -> None:
    """Pinned images stay proven beside a folder of tables."""
    images_zip, clone = put(tiny, **{"t.zip": packed(drawn), "clone/tiny-main/data.csv": small_labels()})
    text = tiny_manifest(images_zip.read_bytes(), small_labels()).replace("adj1, adj2", "word1, word2")
    manifests("tiny", text)
    words: list[object] = ["tiny"] if named else []
    done = run("import", *words, clone.parent.parent, images_zip, code=0)
    assert "unpinned" not in done.err
    item = next(i for i in run("list", "--json", code=0).json()["data"] if i["id"] == "tiny")
    assert item["state"] == "installed"


def test_N06_what_is_no_file_in_a_folder_is_told_as_what_it_is(run: Command, tiny: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"5" * 64 + b"\nsize 123456789\n"
    put(tiny, **{"clone/tiny.zip": pointer, "clone/data.csv": small_labels()})
    for words in (("tiny", tiny / "clone"), (tiny / "clone",)):
        assert "Git LFS pointer" in run("import", *words, code=3).err
    assert nothing_installed(run)


@pytest.mark.parametrize("named", [True, False])
def test_N27_volumes_in_a_folder(run: Command, tiny: Path, drawn: dict[str, bytes], named: bool) -> None:
    data = packed(drawn)
    third = -(-len(data) // 3)
    put(tiny, **{f"set/t.zip.00{n + 1}": data[n * third : (n + 1) * third] for n in range(3)})
    put(tiny, **{"set/data.csv": small_labels()})
    words: list[object] = ["tiny"] if named else []
    run("import", *words, tiny / "set", code=0)
    assert state(run) == ("installed", 12)
