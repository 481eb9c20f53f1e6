"""Which names may become files: the one gate of archives, manifests, records and hubs."""

from __future__ import annotations

import unicodedata

import pytest

from aigiqa_cli.names import folded, is_database_id, safe_relative_path, shortened, unsafe_reason

# From threats-and-faults.md: A01-A04, A15, S13-S15; a name of 255 and a path of 1,024 bytes are the longest (section 5).
UNSAFE = {
    "": "A15",
    "/a.png": "A02",
    "a\\b.png": "A03",
    "C:a.png": "A03",
    "a\tb.png": "A04",
    "a\u202eb.png": "A04",
    "a\ud800.png": "A04",
    "../a.png": "A01",
    "a/./b.png": "A01",
    "a//b.png": "A15",
    "a/": "A15",
    "a./b.png": "S15",
    "a /b.png": "S15",
    "CON": "S15",
    "set/lpt1.png": "S15",
    "com² .txt": "S15",
    "é" * 128: "S14",
    "/".join([*["x" * 204] * 4, "x" * 205]): "S14",
    unicodedata.normalize("NFD", "é.png"): "S13",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_A01_A02_A03_A04_A15_S13_S14_S15_unsafe_names(name: str) -> None:
    reason, fault = unsafe_reason(name)
    assert (bool(reason), fault) == (True, UNSAFE[name])
    with pytest.raises(ValueError, match="the path"):
        safe_relative_path(name)


@pytest.mark.parametrize(
    "name", ["a.png", "set/images/图 1.png", "x" * 255, "/".join(["x" * 204] * 5), "console.png", "a.con"]
)
def test_safe_names_stay_what_they_are(name: str) -> None:
    assert unsafe_reason(name) == ("", "")
    assert safe_relative_path(name) == name


@pytest.mark.parametrize(
    ("word", "good"),
    [("agiqa-3k", True), ("a.b_c", True), ("index.csv", False), ("con", False), ("a.", False), ("A", False), (".x", False),
     ("x" * 64, True), ("x" * 65, False), ("", False)],
)  # fmt: skip
def test_X06_what_a_database_may_be_called(word: str, good: bool) -> None:
    assert is_database_id(word) is good


def test_S12_S13_names_that_are_one_file_somewhere() -> None:
    assert folded("É.PNG") == folded(unicodedata.normalize("NFD", "é.png")) == folded("É.png")
    assert folded("straße") == folded("STRASSE")
    assert folded("a") != folded("b")


def test_S14_a_shortened_name_keeps_its_suffix() -> None:
    assert shortened("a.png", 5) == "a.png"
    assert shortened("图" * 100 + ".png", 40) == "图" * 12 + ".png"
    assert shortened("a" * 50 + "." + "b" * 30, 40) == "a" * 40, "a suffix beyond a quarter is none"
    assert [shortened("a" * 50 + "." + "b" * n, 40) for n in (9, 10)] == ["a" * 30 + "." + "b" * 9, "a" * 40]
    assert len(shortened("é" * 200, 151).encode()) == 150
    assert [shortened("a" * 50 + suffix, 40) for suffix in (".p", ".pn")] == ["a" * 38 + ".p", "a" * 37 + ".pn"]
