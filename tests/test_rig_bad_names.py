"""Names that may not become files, and names that may: one gate for archives, tables, manifests and records."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs import Rig

from aigiqa_cli.archives.contract import Refusal
from aigiqa_cli.archives.member_names import judge, refuse_twins
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.names import folded, is_database_id, shortened, unsafe_reason
from aigiqa_cli.store import Root, write_whole

DEVICES = (
    "con",
    "prn",
    "aux",
    "nul",
    "com1",
    "com9",
    "lpt1",
    "lpt9",
    "com0",
    "conin$",
    "conout$",
    "com¹",
    "lpt³",
    "COM²",
)


def _bad() -> Iterator[tuple[str, str]]:
    """(name, fault IDs that may be named)."""
    yield "", "A15"
    for deep in ("", "a/", "a/b/c/", "图/", "a b/"):
        for up in (
            "..",
            "../x",
            "../../x",
            "./../x",
            "x/../../y",
            "x/..",
            "..\\x",
            "x\\..\\y",
            "....//x",
            "..../..",
            ". /x",
            ".. /x",
            "../",
        ):
            yield deep + up, "A01 A03 A15 S15"
        for part in ("a//b", "//", "a/./b", "./.", "a/"):
            yield deep + part, "A01 A15 A02"
        for part in ("a.", "a ", "a..", "a. ", "a .", " ", ".", "..", "...", ". ."):
            yield deep + part, "S15 A01"
            yield f"{deep}{part}/x.png", "S15 A01"
        for device in DEVICES:
            for tail in ("", ".png", ".tar.gz", " .png", "/x.png"):
                yield f"{deep}{device}{tail}", "S15"
                yield f"{deep}{device.upper()}{tail}", "S15"
        for character in '<>:"|?*':
            yield f"{deep}a{character}b.png", "A03 A04"
        for number in (
            *range(32),
            0x7F,
            *range(0x80, 0xA0),
            0x61C,
            0x200E,
            0x200F,
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
        ):
            yield f"{deep}a{chr(number)}b.png", "A04"
        yield f"{deep}a\ud800b.png", "A04"
        yield f"{deep}a\udcffb.png", "A04"
        yield f"{deep}cafe\u0301.png", "S13"
        yield f"{deep}\u1112\u1161\u11ab.png", "S13"
        yield f"{deep}\u212b.png", "S13"
        yield deep + "x" * 256, "S14"
        yield deep + "图" * 86, "S14"
        yield deep + "\U0001f600" * 64, "S14"
    for absolute in ("/x", "//x", "/", "///a", "/etc/passwd", "//server/share", "/dev/null", "/proc/self/mem"):
        yield absolute, "A02"
    for drive in (
        "C:x",
        "C:\\x",
        "c:/x",
        "Z:",
        "\\\\host\\share",
        "\\x",
        "a\\b",
        "\\\\?\\C:\\x",
        "\\\\.\\pipe\\x",
        "x:stream",
        "x::$DATA",
    ):
        yield drive, "A03 A04"
    yield "/".join(["abcdefgh"] * 120), "S14"
    yield "a/" * 600 + "b", "S14"


NAMES = sorted(set(_bad()))
GOOD = [
    "AttnGAN_normal_000.jpg", "SD_000_00.jpg", "LCM_SD1.5_0305.png", "0.png", "a/b/c.png", "图像/一.png", "a b.png", "a.b.c.png",
    ".hidden", "..a", "a..b", "-rf", "--help", "~", "~root", "$HOME", "`x`", "a;b", "a&b", "a'b", "a(1).png", "[x].png", "#1.png",
    "%2e%2e%2f", "caf\u00e9.png", "\ud55c.png", "\U0001f600.png", "con1.png", "console.png", "nullx", "com10.png", "aux-1.png", "x" * 255,
    "图" * 85, "a" * 200 + "/" + "b" * 200, "\u200b.png", "a\u200db.png", "=1+1", "@x", "!x",
]  # fmt: skip


def test_there_are_enough() -> None:
    assert len(NAMES) >= 500


@pytest.mark.rig("bad-names", sample=10_000)  # all of them: there are fewer
def test_A01_A04_S13_S14_S15_M09_bad_names_are_refused(rig: Rig) -> None:
    rig.length = min(rig.length, len(NAMES))
    wrong = []
    for name, faults in NAMES[: rig.length]:
        reason, fault = unsafe_reason(name)
        if fault not in faults.split() or not reason:
            wrong.append(f"{name!r}: expected {faults}, found {fault or 'no fault'}")
        if "\0" not in name and reason:
            assert "\x1b" not in reason, "a reason can be printed"
        rig.did()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", GOOD)
def test_good_names_pass(name: str) -> None:
    assert unsafe_reason(name) == ("", "")


def test_what_passes_becomes_a_file_of_that_very_name(tmp_path: Path) -> None:
    for name in GOOD:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        assert os.path.realpath(path) == str(path)


# ---------------------------------------------------------------------------------------------------------------------
# S12, S13: names that are one file somewhere
# ---------------------------------------------------------------------------------------------------------------------

TWINS = [
    ("a.png", "A.png"), ("café.png", "CAFÉ.png"), ("straße.png", "STRASSE.png"), ("ﬁle.png", "file.png"), ("ς.png", "σ.png"),
    ("ǰ.png", "J\u030c.png"), ("K.png".replace("K", "\u212a"), "k.png"), ("İ.png", "i\u0307.png"), ("ᾳ\u0301.png", "ᾴ.png"),
    ("A/b.png", "a/B.png"), ("Å.png", "a\u030a.png"), ("\ud55c.png", "\u1112\u1161\u11ab.png"), ("α\u0345\u0301.png", "ά\u0345.png"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_A15_S12_S13_twins_are_refused_on_every_platform(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    with pytest.raises(Refusal) as caught:
        refuse_twins([one, other])
    assert caught.value.fault == "A15"


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=20))
def test_S13_a_name_is_folded_the_same_in_every_form(name: str) -> None:
    """What a file system with forms of its own makes of a name is still the same name to us."""
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len({folded(form) for form in forms}) == 1
    assert folded(folded(name)) == folded(name) == folded(name.casefold())


def test_S13_composed_and_decomposed_archive_names_are_stored_composed() -> None:
    assert judge("cafe\u0301.png") == "caf\u00e9.png"
    assert judge("./a/\u1112\u1161\u11ab.png") == "a/\ud55c.png"


# ---------------------------------------------------------------------------------------------------------------------
# S14: lengths
# ---------------------------------------------------------------------------------------------------------------------


@given(
    st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=300),
    st.integers(20, 255),
)
def test_S14_a_shortened_name_fits_and_keeps_its_suffix(name: str, room: int) -> None:
    short = shortened(name, room)
    assert len(os.fsencode(short)) <= room
    assert short == name or len(os.fsencode(name)) > room
    assert shortened("x" * 300 + ".png", room).endswith(".png")


@pytest.mark.parametrize("name", ["图" * 85, "x" * 251 + ".csv", "\U0001f600" * 63])
def test_S14_a_file_with_the_longest_name_is_written_whole(tmp_path: Path, name: str) -> None:
    """Its temporary name is longer than it, and must not be longer than names may be."""
    write_whole(tmp_path / name, b"data")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"data")]


def test_S14_the_length_of_the_root_is_checked_before_anything(tmp_path: Path) -> None:
    root = Root(Path("/".join([str(tmp_path), *["r" * 200] * 13])))
    with pytest.raises(UsageFault) as caught:
        root.prepare()
    assert caught.value.fault == "S14"
    assert list(tmp_path.iterdir()) == []
    Root(tmp_path / ("r" * 200) / ("r" * 200)).prepare()


@pytest.mark.parametrize(
    "word", ["index.csv", ".aigiqa", "con", "a.", "../x", "", "A", "a b", "a/b", "s" * 65, "nul.x"]
)
def test_M12_X06_words_that_are_no_database(word: str) -> None:
    assert not is_database_id(word)


@pytest.mark.parametrize("word", ["a", "agiqa-9k", "x.y_z-1", "0", "index.csv2", "s" * 64])
def test_M12_words_that_may_be_one(word: str) -> None:
    assert is_database_id(word)
