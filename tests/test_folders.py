"""S17 in one room: what is made, moved or removed through handles of its folders, with one system call for all steps
and, as on other systems, step by step."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aigiqa_cli import folders

Change = Callable[[Path], object]


@pytest.fixture(params=["at once", "step by step"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "step by step":
        monkeypatch.setattr(folders.sys, "platform", "darwin")


@pytest.fixture(autouse=True)
def _handles() -> Iterator[None]:
    """Whatever happens, no handle stays open."""
    gc.collect()  # what earlier tests left open
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file, a folder with a file, a link to each of both, and a link to nothing."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"of the file")
    (tmp_path / "deep" / "er" / "inner").write_bytes(b"inner")
    (tmp_path / "to-folder").symlink_to("deep")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "to-nothing").symlink_to("nothing")
    return tmp_path


@pytest.mark.usefixtures("way")
def test_S17_a_handle_leads_where_its_path_does(place: Path) -> None:
    with folders.opened(place / "deep" / "er") as handle:
        assert os.path.samestat(os.fstat(handle), (place / "deep" / "er").stat())
        assert os.listdir(handle) == ["inner"]
    with folders.opened(place / "deep", folders.PASSED) as handle:
        assert os.stat("er", dir_fd=handle).st_ino == (place / "deep" / "er").stat().st_ino
    with folders.opened(Path("/")) as handle:
        assert os.path.samestat(os.fstat(handle), os.stat("/"))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("path", "number", "named"),
    [
        ("to-folder", errno.ELOOP, "to-folder"),
        ("to-folder/er", errno.ELOOP, "to-folder"),
        ("to-nothing", errno.ELOOP, "to-nothing"),
        ("file", errno.ENOTDIR, "file"),
        ("file/er", errno.ENOTDIR, "file"),
        ("absent/er/inner", errno.ENOENT, "absent"),
    ],
)
def test_S17_what_is_no_folder_is_named(place: Path, path: str, number: int, named: str) -> None:
    with pytest.raises(OSError) as caught:
        folders.handle(place / path)
    assert (caught.value.errno, caught.value.filename) == (number, str(place / named))


def test_S17_one_system_call_does_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into another file system, too: openat2 is number 437 on every architecture."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall(437, -1, b"/", None, 0)
    if ctypes.get_errno() != errno.EINVAL:
        pytest.skip("not run: this kernel has no openat2")
    monkeypatch.setattr(os, "open", None)
    with folders.opened(Path("/proc/sys")) as handle:
        assert "kernel" in os.listdir(handle)


@pytest.mark.usefixtures("way")
def test_any_number_may_be_that_of_a_handle(place: Path) -> None:
    """Also 0, where the program was started with its standard input closed; nothing stays open beside it."""
    kept = os.dup(0)
    os.close(0)
    try:
        with folders.opened(place / "deep") as handle:
            assert os.path.samestat(os.fstat(handle), (place / "deep").stat())
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(0)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_S17_below_an_open_folder(place: Path) -> None:
    with folders.opened(place) as handle:
        for path in ("", "deep", "deep/er"):
            found = folders.below(handle, path, os.O_RDONLY)
            assert os.path.samestat(os.fstat(found), (place / path).stat())
            assert os.listdir(found)
            os.close(found)
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)) as caught:
            folders.below(handle, "to-folder/er")
        assert caught.value.filename == "to-folder"
        found = {name: folders.is_link(handle, name) for name in os.listdir(handle)}
        assert {name for name, answer in found.items() if answer} == {"to-folder", "to-file", "to-nothing"}
        assert folders.is_link(handle, "absent") is False


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "change",
    [
        lambda path: folders.open_file(path / "inner", os.O_RDONLY),
        lambda path: folders.new_file(path / "new"),
        lambda path: folders.make(path / "new"),
        lambda path: folders.make_below(path.parent.parent, path / "new"),
        lambda path: folders.rename(path / "inner", path.parent.parent / "moved"),
        lambda path: folders.rename(path.parent.parent / "file", path / "moved"),
        lambda path: folders.link(path / "inner", path.parent.parent / "second"),
        lambda path: folders.link(path.parent.parent / "file", path / "second"),
        lambda path: folders.copy(path.parent.parent / "file", path / "copy"),
        lambda path: folders.set_mode(path / "inner", 0o444),
        lambda path: folders.remove(path / "inner"),
        lambda path: folders.remove(path / "inner", missing_ok=True),
        folders.remove_folder,
        folders.remove_tree,
        lambda path: list(folders.walk(path)),
    ],
)
def test_S17_nothing_is_done_through_a_link(place: Path, change: Change) -> None:
    def world() -> dict[str, tuple[int, int, int]]:
        found = {str(path): path.lstat() for path in place.rglob("*")}
        return {name: (status.st_mode, status.st_ino, status.st_nlink) for name, status in found.items()}

    before = world()
    with pytest.raises(OSError) as caught:
        change(place / "to-folder" / "er")
    assert caught.value.errno in (errno.ELOOP, errno.EEXIST)
    assert caught.value.filename == str(place / "to-folder")
    assert world() == before


def test_S17_files_are_opened_themselves(place: Path) -> None:
    for path in (place / "to-file", place / "to-nothing"):
        for change in (
            lambda path: folders.open_file(path, os.O_RDONLY),
            lambda path: folders.open_file(path, os.O_WRONLY | os.O_CREAT),
            lambda path: folders.set_mode(path, 0o600),
        ):
            with pytest.raises(OSError, match=os.strerror(errno.ELOOP)) as caught:
                change(path)
            assert caught.value.filename == str(path)
    for path in (place / "file", place / "to-file", place / "to-nothing"):
        with pytest.raises(FileExistsError) as caught:
            folders.new_file(path)
        assert caught.value.filename == str(path)
    assert (place / "file").read_bytes() == b"of the file"


def test_K09_modes_of_what_is_made(place: Path) -> None:
    before = os.umask(0)
    try:
        os.close(folders.open_file(place / "own", os.O_WRONLY | os.O_CREAT))
        folders.new_file(place / "new").close()
        folders.make(place / "folder")
        folders.make(place / "own-folder", 0o700)
    finally:
        os.umask(before)
    found = [stat.S_IMODE((place / name).stat().st_mode) for name in ("own", "new", "folder", "own-folder")]
    assert found == [0o600, 0o666, 0o777, 0o700]
    folders.set_mode(place / "own", 0o444)
    assert stat.S_IMODE((place / "own").stat().st_mode) == 0o444


def test_a_mode_is_set_of_whatever_it_is(place: Path) -> None:
    """Nobody waits for the other end of a pipe."""
    os.mkfifo(place / "pipe", 0o600)
    folders.set_mode(place / "pipe", 0o400)
    assert stat.S_IMODE((place / "pipe").stat().st_mode) == 0o400


def test_folders_are_made_once(place: Path) -> None:
    for name in ("deep", "file", "to-folder", "to-nothing"):
        with pytest.raises(FileExistsError) as caught:
            folders.make(place / name)
        assert caught.value.filename == str(place / name)
    folders.make(place / "deep", exist_ok=True)
    for name in ("file", "to-folder", "to-nothing"):
        with pytest.raises(FileExistsError):
            folders.make(place / name, exist_ok=True)
    folders.make_below(place / "deep", place / "deep")
    folders.make_below(place / "deep", place / "deep" / "er" / "a" / "b")
    assert (place / "deep" / "er" / "a" / "b").is_dir()
    with pytest.raises(FileNotFoundError):
        folders.make_below(place / "absent", place / "absent" / "a")


def test_names_of_files(place: Path) -> None:
    folders.link(place / "file", place / "deep" / "second")
    assert (place / "deep" / "second").samefile(place / "file")
    folders.link(place / "to-file", place / "deep" / "link")
    assert os.readlink(place / "deep" / "link") == "file"
    with pytest.raises(FileExistsError) as caught:
        folders.link(place / "file", place / "deep" / "second")
    assert caught.value.filename == str(place / "deep" / "file")
    folders.rename(place / "deep" / "second", place / "deep" / "er" / "inner")
    assert (place / "deep" / "er" / "inner").read_bytes() == b"of the file"
    with pytest.raises(FileNotFoundError) as caught:
        folders.rename(place / "absent", place / "deep" / "x")
    assert caught.value.filename == str(place / "absent")
    folders.copy(place / "file", place / "copy")
    assert (place / "copy").read_bytes() == b"of the file"
    with pytest.raises(FileExistsError):
        folders.copy(place / "file", place / "copy")


def test_what_is_removed(place: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        folders.remove(place / "absent")
    assert caught.value.filename == str(place / "absent")
    folders.remove(place / "absent", missing_ok=True)
    folders.remove(place / "absent" / "deeper", missing_ok=True)
    folders.remove(place / "to-file")
    assert (place / "file").exists()
    with pytest.raises(OSError, match=os.strerror(errno.ENOTEMPTY)):
        folders.remove_folder(place / "deep")
    folders.remove(place / "deep" / "er" / "inner")
    folders.remove_folder(place / "deep" / "er")
    assert not list((place / "deep").iterdir())


@pytest.mark.parametrize("remove", [folders.remove_tree, folders.drop_tree])
def test_S17_of_links_in_a_tree_the_links_go(
    place: Path, tmp_path_factory: pytest.TempPathFactory, remove: Change
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "mine").write_bytes(b"mine")
    (place / "deep" / "away").symlink_to(other)
    remove(place / "deep")
    assert not (place / "deep").exists()
    assert (other / "mine").read_bytes() == b"mine"


def test_S17_a_link_is_no_tree(place: Path) -> None:
    with pytest.raises(OSError) as caught:
        folders.remove_tree(place / "to-folder")
    assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, str(place / "to-folder"))
    folders.drop_tree(place / "to-folder")
    folders.drop_tree(place / "to-folder" / "er")
    folders.drop_tree(place / "absent")
    assert (place / "deep" / "er" / "inner").exists()
    with pytest.raises(FileNotFoundError):
        folders.remove_tree(place / "absent")


def test_as_much_of_a_tree_goes_as_can(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(place / "deep" / "er")
    for name in ("a", "b", "c"):
        (place / "deep" / name).write_bytes(b"")
    real, refused = os.unlink, list[str]()

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        if path in refused or not refused:
            refused.append(path)
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    folders.drop_tree(place / "deep")
    assert os.listdir(place / "deep") == refused
    with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
        folders.remove_tree(place / "deep")


def test_S17_a_walk_goes_from_below_and_follows_no_link(place: Path) -> None:
    seen = []
    for path, inner, names, handle in folders.walk(place):
        assert set(inner) | set(names) == set(os.listdir(handle))
        seen.append((path, inner, sorted(names)))
    links = ["to-file", "to-folder", "to-nothing"]
    assert seen == [("deep/er", [], ["inner"]), ("deep", ["er"], []), ("", ["deep"], ["file", *links])]


def test_S07_a_folder_that_cannot_be_listed_is_not_empty(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(place / "deep")
    with pytest.raises(FileNotFoundError) as caught:
        list(folders.walk(place / "deep"))
    assert caught.value.filename == str(place / "deep")
    (place / "deep" / "er").mkdir(parents=True)
    real = os.open

    def refused(path: str, *words: int, **more: int) -> int:
        if path == "er":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError) as unlisted:
        list(folders.walk(place))
    assert unlisted.value.filename == str(place)


def test_an_error_that_names_nothing_stays_as_it_is(place: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught, folders.named_in(place):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert caught.value.filename is None


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool) -> None:
    if not nameless:
        monkeypatch.setattr(folders, "_NAMELESS", 0)
    with folders.unnamed(tmp_path) as stream:
        assert list(tmp_path.iterdir()) == []
        stream.write(b"what is read again")
        stream.flush()
        assert os.pread(stream.fileno(), 4, 0) == b"what"
        assert os.fstat(stream.fileno()).st_nlink == 0


def test_S01_a_file_without_a_name_never_had_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any moment nothing of it is left, where the system can do that."""
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR))
    except (AttributeError, OSError):
        pytest.skip("not run: this system or this disk has no files without a name")
    monkeypatch.setattr(os, "unlink", None)
    with folders.unnamed(tmp_path) as stream:
        stream.write(b"bytes")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", [os.O_DIRECTORY, 0])
def test_S17_a_file_without_a_name_is_not_made_behind_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: int
) -> None:
    """Also where the file system has no files without a name: it would have one for a moment."""
    (tmp_path / "away").mkdir()
    (tmp_path / "link").symlink_to("away")
    monkeypatch.setattr(folders, "_NAMELESS", flag)  # not writable as a folder is: as if there were none
    with pytest.raises(OSError, match="symbolic links"):
        folders.unnamed(tmp_path / "link")
    assert list((tmp_path / "away").iterdir()) == []
    with folders.unnamed(tmp_path / "away") as stream:
        assert os.fstat(stream.fileno()).st_nlink == 0


@pytest.mark.parametrize("at", [None, 0, 70_001])
def test_all_of_it_is_written_in_small_pieces_whatever_the_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int | None
) -> None:
    """Of large writes Linux makes large folios, which takes long; and any write may be cut short."""
    data = bytes(range(251)) * 800
    asked: list[int] = []
    write, pwrite = os.write, os.pwrite

    def some(view: memoryview) -> memoryview:
        asked.append(len(view))
        return view[: max(1, len(view) - 17 * (len(asked) % 3))]

    monkeypatch.setattr(folders.os, "write", lambda descriptor, view: write(descriptor, some(view)))
    monkeypatch.setattr(folders.os, "pwrite", lambda descriptor, view, at: pwrite(descriptor, some(view), at))
    path = tmp_path / "some"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    folders.write(descriptor, data, at)
    folders.write(descriptor, b"", at)
    os.close(descriptor)
    assert path.read_bytes() == b"\0" * (at or 0) + data
    assert max(asked) < 64 << 10
    assert len(asked) > len(data) // max(asked)
