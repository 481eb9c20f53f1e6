"""Every way a manifest can be wrong, through `load`, on a small manifest that is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import SMALL

from aigiqa_cli.errors import Exit, Finding, RefusedInput
from aigiqa_cli.manifest import VOCABULARY_NAME, json_schema, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import built_in_folder
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.patterns import compile_pattern

SLUGS = {"glide", "midjourney"}
BUILT_IN = sorted(path for path in built_in_folder().glob("*.yaml") if path.name != VOCABULARY_NAME)


def edited(*edits: tuple[str, str]) -> str:
    text = SMALL
    for old, new in edits:
        assert text.count(old) >= 1, f"{old!r} is not in the manifest"
        text = text.replace(old, new, 1)
    return text


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


def read(folder: Path, text: str | bytes, name: str = "small.yaml") -> Database:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path, generators=SLUGS)


def refused(folder: Path, text: str | bytes, name: str = "small.yaml") -> list[tuple[int, Finding]]:
    """The findings of the refusal, each with its line."""
    with pytest.raises(RefusedInput) as caught:
        read(folder, text, name)
    assert caught.value.exit_code == Exit.REFUSED
    found = []
    for finding in caught.value.findings:
        path, _, line = finding.path.rpartition(":")
        assert path == str(folder / name)
        found.append((int(line), finding))
    assert found
    return found


def only(folder: Path, text: str | bytes) -> tuple[int, Finding]:
    found = refused(folder, text)
    assert len(found) == 1, found
    return found[0]


def test_the_small_manifest_is_right(tmp_path: Path) -> None:
    database = read(tmp_path, SMALL)
    assert database.id == "small"
    assert database.assets_of("images")[0].mirrors[0].url == "https://example.org/pictures.zip"
    assert database.expect.images == (2, 2)


# --- what YAML offers beyond maps, lists and text ---------------------------------------------------------------


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!!str", "!own", "!"])
def test_M01_tags(tmp_path: Path, tag: str) -> None:
    text = edited(("title: Small", f"title: {tag} Small"))
    line, finding = only(tmp_path, text)
    assert line == line_of(text, "title: !")
    assert "tags are not allowed" in finding.problem


def test_M01_tags_on_lists_and_keys(tmp_path: Path) -> None:
    for old, new in (("authors: [A]", "authors: !!set [A]"), ("title: Small", "!!str title: Small")):
        assert any("tags" in finding.problem for _, finding in refused(tmp_path, edited((old, new))))


def test_M02_anchor(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("title: Small", "title: &a Small")))
    assert (line, finding.found) == (4, "&a")
    assert "anchors are not allowed" in finding.problem


def test_M02_alias(tmp_path: Path) -> None:
    found = refused(tmp_path, edited(("title: Small", "title: &a Small"), ("two pictures", "*a")))
    assert [(line, finding.found) for line, finding in found] == [(4, "&a"), (5, "*a")]
    assert "aliases are not allowed" in found[1][1].problem


def test_M02_merge_key(tmp_path: Path) -> None:
    found = refused(tmp_path, edited(("license: {", "license: {<<: {note: x}, ")))
    assert any(line == 6 and "merge keys are not allowed" in finding.problem for line, finding in found)


def test_M02_a_bomb_of_aliases_is_not_walked(tmp_path: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert any("aliases" in finding.problem for _, finding in refused(tmp_path, bomb))


def test_M03_a_key_that_stands_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    text = edited(("summary: two pictures", "summary: two pictures\ntitle: Smaller"))
    line, finding = only(tmp_path, text)
    assert line == 6
    assert "first on line 4" in finding.problem
    assert finding.found == "title"


def test_M03_in_a_flow_map(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("{kind: http, ", "{kind: http, kind: http, ")))
    assert line == 13
    assert "first on line 13" in finding.problem


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize(
    "code", ["0755", "1e5", "0x1F", "yes", "on", "1:30", "2024-01-02", "1_000", "0o17", ".5", "-0", "1.10", "+1", "NaN"]
)
def test_M04_an_extraction_code_stays_as_written(tmp_path: Path, code: str, quote: str) -> None:
    database = read(tmp_path, edited(("CODE", f"{quote}{code}{quote}")))
    assert database.asset("labels.csv").mirrors[0].code == code


def test_M04_quoting_a_number_changes_nothing(tmp_path: Path) -> None:
    plain = read(tmp_path, SMALL)
    assert read(tmp_path, edited(("images: 2", "images: '2'"), ("schema: 1", 'schema: "1"'))) == plain


@pytest.mark.parametrize("number", ["0x2", "0o2", "2.0", "+2", "02", "1_0", "2e0", "-2", "two", "٢"])
def test_M04_a_count_is_written_in_plain_digits(tmp_path: Path, number: str) -> None:
    line, finding = only(tmp_path, edited(("images: 2", f"images: {number}")))
    assert (line, finding.found) == (27, number)
    assert "whole number" in finding.problem


@pytest.mark.parametrize("number", ["1e1", ".5", "5.", "inf", "nan", "0,5", "1_0"])
def test_M04_a_number_is_written_in_plain_digits(tmp_path: Path, number: str) -> None:
    quoted = f"'{number}'"
    _, finding = only(tmp_path, edited(("range: [0, 5]", f"range: [0, {quoted}]")))
    assert "decimal number" in finding.problem


@pytest.mark.parametrize("flag", ["yes", "on", "True", "1", "y"])
def test_M04_a_flag_is_true_or_false(tmp_path: Path, flag: str) -> None:
    _, finding = only(tmp_path, edited(("format: zip", f"format: zip\n    optional: {flag}")))
    assert "true or false" in finding.problem


def test_M05_two_documents(tmp_path: Path) -> None:
    text = SMALL + "---\nschema: 1\n"
    line, finding = only(tmp_path, text)
    assert line == 28
    assert "more than one YAML document" in finding.problem


def test_M05_tab(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("    format: zip", "\tformat: zip")))
    assert line == 11
    assert "tab" in finding.problem


def test_M05_byte_order_mark(tmp_path: Path) -> None:
    line, finding = only(tmp_path, b"\xef\xbb\xbf" + SMALL.encode())
    assert (line, finding.found) == (1, "U+FEFF")


@pytest.mark.parametrize("junk", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_M05_not_utf_8(tmp_path: Path, junk: bytes) -> None:
    line, finding = only(tmp_path, SMALL.replace("two pictures", "two JUNK").encode().replace(b"JUNK", junk))
    assert line == 5
    assert "UTF-8" in finding.problem


def test_M05_utf_16_is_not_utf_8(tmp_path: Path) -> None:
    assert "UTF-8" in only(tmp_path, SMALL.encode("utf-16"))[1].problem


@pytest.mark.parametrize("depth", [25, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_M05_depth(tmp_path: Path, depth: int, opening: str, closing: str) -> None:
    line, finding = only(tmp_path, SMALL + "facts: " + opening * depth + "x" + closing * depth)
    assert (line, finding.problem, finding.expected) == (28, "nested too deeply", "at most 20 levels")


def test_M05_size(tmp_path: Path) -> None:
    padding = "#" + "x" * 1022 + "\n"
    assert read(tmp_path, SMALL + padding * 1000).id == "small"
    _, finding = only(tmp_path, SMALL + padding * 1024)
    assert "too large" in finding.problem
    assert finding.expected == "at most 1048576 bytes"


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_M05_empty_file(tmp_path: Path, text: str) -> None:
    assert "empty" in only(tmp_path, text)[1].problem


@pytest.mark.parametrize("text", ["- a\n", "word\n"])
def test_M05_not_a_map(tmp_path: Path, text: str) -> None:
    assert "not a manifest" in only(tmp_path, text)[1].problem


def test_M05_not_yaml(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("title: Small", "title: [Small")))
    assert finding.problem.startswith("not YAML")
    assert line >= 4


@pytest.mark.parametrize("key", ["{a: b}: x", "? [a, b]\n: x"])
def test_M05_a_key_is_text(tmp_path: Path, key: str) -> None:
    line, finding = only(tmp_path, SMALL + key + "\n")
    assert (line, finding.expected) == (28, "text")


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x7f", "\u202e", "\u200f", "\u2066"])
def test_M16_control_characters(tmp_path: Path, character: str) -> None:
    line, finding = only(tmp_path, edited(("title: Small", f"title: Sm{character}all")))
    assert (line, finding.found) == (4, f"U+{ord(character):04X}")


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "null", "~", "NULL", "''", '""'])
def test_M04_a_value_is_never_empty(tmp_path: Path, nothing: str) -> None:
    line, finding = only(tmp_path, edited(("title: Small", f"title: {nothing}")))
    assert line == 4
    assert "missing" in finding.problem
    assert "leave the key out" in finding.expected


@pytest.mark.parametrize(
    ("edit", "line", "expected", "found"),
    [
        (("title: Small", "title: [a]"), 4, "text", "a list"),
        (("title: Small", "title: {a: b}"), 4, "text", "a map of keys"),
        (("license: {spdx: MIT, scope: all, source: here}", "license: MIT"), 6, "a map of keys", "MIT"),
        (("needs: [labels.csv]", "needs: labels.csv"), 20, "a list", "labels.csv"),
        (("schema: 1", "schema: [1]"), 1, "a whole number", "a list"),
        (("  - name: pictures.zip", "  - text\n  - name: pictures.zip"), 9, "a map of keys", "text"),
        (("authors: [A]", "authors: []"), 7, "at least 1", "0"),
        (("format: zip", "format: zpi"), 11, "did you mean zip?", "zpi"),
        (("quality: {mos", "qualty: {mos"), 25, "did you mean quality?", "qualty"),
    ],
)
def test_wrong_type(tmp_path: Path, edit: tuple[str, str], line: int, expected: str, found: str) -> None:
    where, finding = only(tmp_path, edited(edit))
    assert (where, finding.expected, finding.found) == (line, expected, found)


def test_M06_urls(tmp_path: Path) -> None:
    good = "https://example.org/pictures.zip"
    for url in (
        "ftp://example.org/a.zip",
        "file:///etc/passwd",
        "https://user:secret@example.org/a.zip",
        "https://user@example.org/a.zip",
        "https://exämple.org/a.zip",
        "https://\u0435xample.org/a.zip",
        "'https://example.org/a b.zip'",
        "'https://example.org/a.zip#part'",
        "https:///a.zip",
        "//example.org/a.zip",
        "https://example.org:123456/a.zip",
    ):
        line, finding = only(tmp_path, edited((good, url)))
        assert line == 13
        assert "URL" in finding.problem


def test_M08_a_pattern_that_explodes_elsewhere_is_harmless(tmp_path: Path) -> None:
    pattern = "^(?P<model>(a+)+)$"
    assert read(tmp_path, edited(("^(?P<model>[a-z]+)", pattern))).labels[0].extract["name"] == pattern
    assert compile_pattern(pattern).fullmatch("a" * 50_000 + "!") is None


@pytest.mark.parametrize("pattern", [r"(?=a)(?P<model>a)", r"(?P<model>a)\1", "(?P<model>a", "(?P<model>a){2000}"])
def test_M08_patterns_are_re2(tmp_path: Path, pattern: str) -> None:
    line, finding = only(tmp_path, edited(("^(?P<model>[a-z]+)", pattern)))
    assert line == 22
    assert "RE2" in finding.problem


def test_M08_patterns_are_short(tmp_path: Path) -> None:
    _, finding = only(tmp_path, edited(("[a-z]+", "[a-z]+" * 90)))
    assert "at most 500 characters" in finding.problem


@pytest.mark.parametrize(
    "path",
    ["../a.zip", "/etc/passwd", "a/../../b", r"a\b.zip", "C:/a.zip", "a//b", "CON.zip", "a./b", "'a '", "a\u0308.zip"],
)
def test_M09_unsafe_paths(tmp_path: Path, path: str) -> None:
    quoted = path if path.startswith("'") else f"'{path}'"
    hub = f"{{kind: huggingface, repo: a/b, revision: main, path: {quoted}}}"
    for edit in (
        ("format: zip", f"format: zip\n    file: {quoted}"),
        ("{kind: http, url: https://example.org/pictures.zip}", hub),
    ):
        line, finding = only(tmp_path, edited(edit))
        assert line in {12, 13}
        assert finding.found == path.strip("'")


@pytest.mark.parametrize(
    "digest",
    [
        "A" * 64,
        "a" * 63,
        "a" * 65,
        "g" * 64,
        "d41d8cd98f00b204e9800998ecf8427e",
        "sha256:" + "a" * 64,
        "'" + "a" * 64 + " '",
    ],
)
def test_M10_a_malformed_checksum_is_refused(tmp_path: Path, digest: str) -> None:
    line, finding = only(tmp_path, edited(("format: zip", f"format: zip\n    sha256: {digest}")))
    assert line == 12
    assert "64 lower-case hexadecimal digits" in finding.problem


def test_M10_an_empty_checksum_is_refused(tmp_path: Path) -> None:
    assert only(tmp_path, edited(("format: zip", "format: zip\n    sha256: ''")))[0] == 12


def test_M11_a_misspelt_key_is_refused_with_the_right_one(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("format: csv", "format: csv\n    sha265: " + "a" * 64)))
    assert (line, finding.expected, finding.found) == (17, "did you mean sha256?", "sha265")


def test_M11_a_key_like_no_other_is_refused_with_all_keys(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("{spdx: MIT", "{zzz: 1, spdx: MIT")))
    assert (line, finding.expected) == (6, "one of note, scope, source, spdx")


def test_M11_a_missing_key_is_named(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("    role: images\n", "")))
    assert line == 9
    assert finding.problem == "assets[0]: the key role is missing"


def test_M12_the_file_name_is_the_id(tmp_path: Path) -> None:
    [(line, finding)] = refused(tmp_path, SMALL, "other.yaml")
    assert (line, finding.expected, finding.found) == (3, "small.yaml", "other.yaml")


@pytest.mark.parametrize("name", ["sm\u0430ll", "Small", "-small", "sm all", "\uff53mall", "s" * 65])
def test_M12_look_alike_ids(tmp_path: Path, name: str) -> None:
    found = refused(tmp_path, edited(("id: small", f"id: {name}")))
    assert any(line == 3 and "slug" in finding.problem for line, finding in found)


@pytest.mark.parametrize(
    "edit",
    [("images: 2", "images: 0"), ("rows: 2", "rows: 0"), ("{glide: 2}", "{glide: 0}"), ("images: 2", "images: [3, 2]")],
)
def test_M14_expecting_nothing_is_refused(tmp_path: Path, edit: tuple[str, str]) -> None:
    line, finding = only(tmp_path, edited(edit))
    assert line == 27
    assert "expects nothing" in finding.problem


def test_M14_expect_is_needed(tmp_path: Path) -> None:
    text = SMALL[: SMALL.index("expect:")]
    assert only(tmp_path, text)[1].problem == "the key expect is missing"


def test_M14_expect_needs_generators(tmp_path: Path) -> None:
    found = refused(tmp_path, edited(("generators: {glide: 2}", "generators: {}")))
    assert [line for line, _ in found] == [27]


def test_M17_at_most_twenty_mirrors(tmp_path: Path) -> None:
    mirror = "      - {kind: http, url: https://example.org/pictures.zip}\n"
    assert len(read(tmp_path, edited((mirror, mirror * 20))).assets[0].mirrors) == 20
    for count in (21, 10_000):
        line, finding = only(tmp_path, edited((mirror, mirror * count)))
        assert (line, finding.expected, finding.found) == (12, "at most 20", str(count))


def test_M18_a_newer_schema_asks_for_an_upgrade_and_for_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(edited(("schema: 1", "schema: 2"), ("title: Small", "headline: Small")))
    with pytest.raises(RefusedInput) as caught:
        load(path)
    assert "upgrade" in caught.value.hint
    assert [finding.path for finding in caught.value.findings] == [f"{path}:1"]


# --- references inside the manifest -----------------------------------------------------------------------------


def test_unknown_generator(tmp_path: Path) -> None:
    line, finding = only(tmp_path, edited(("{glide: 2}", "{gilde: 2}")))
    assert (line, finding.expected, finding.found) == (27, "did you mean glide?", "gilde")
    line, finding = only(tmp_path, edited(("{a: glide}", "{a: glide, b: midjurney}")))
    assert (line, finding.expected) == (24, "did you mean midjourney?")


@pytest.mark.parametrize(
    ("mirror", "missing"),
    [
        ("{kind: http}", "url"),
        ("{kind: github, repo: a/b}", "revision and path"),
        ("{kind: huggingface, repo: a/b, path: c}", "revision"),
        ("{kind: modelscope}", "repo"),
        ("{kind: gdrive, note: x}", "id"),
        ("{kind: builtin}", "path"),
        ("{kind: baidu, code: abcd}", "url"),
        ("{kind: quark}", "url"),
        ("{kind: terabox}", "url"),
        ("{kind: onedrive}", "url"),
    ],
)
def test_a_mirror_says_what_its_kind_needs(tmp_path: Path, mirror: str, missing: str) -> None:
    line, finding = only(tmp_path, edited(("{kind: http, url: https://example.org/pictures.zip}", mirror)))
    assert line == 13
    assert finding.problem.endswith(f"needs {missing}")


@pytest.mark.parametrize("repo", ["owner", "a/b/c", "a b/c", "/b"])
def test_a_repository_is_owner_and_name(tmp_path: Path, repo: str) -> None:
    mirror = f"{{kind: huggingface, repo: '{repo}', revision: main, path: c}}"
    _, finding = only(tmp_path, edited(("{kind: http, url: https://example.org/pictures.zip}", mirror)))
    assert "owner/name" in finding.problem


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (("name: pictures.zip", "name: labels.csv"), "two assets are named labels.csv"),
        (("format: zip", "format: zip\n    substitutes: other.zip"), "substitutes other.zip, which is no asset"),
        (("needs: [labels.csv]", "needs: [labels.csv, x.csv]"), "labels need x.csv, which is no asset"),
        (("file: labels.csv", "file: pictures.zip"), "the table pictures.zip is not among needs"),
        (("{mos: mos,", "{mos: mso,"), "no table has the column mso"),
        (("find: ['{name}']", "find: ['{nam}']"), "no table has the column nam"),
        (("recode: {generator", "recode: {split"), "recode names split"),
        (("range: [0, 5]", "range: [5, 0]"), "range: [lowest, highest]"),
        (("{const: t2i}", "{const: t2i, column: name}"), "the name of a column, or {const: TEXT}"),
    ],
)
def test_references_hold(tmp_path: Path, edit: tuple[str, str], problem: str) -> None:
    found = refused(tmp_path, edited(edit))
    assert any(problem in finding.problem for _, finding in found), found


def test_splits_have_one_way(tmp_path: Path) -> None:
    for split, problem in (
        ("{name: a, evidence: e}", "exactly one of rule, published, described"),
        ("{name: a, evidence: e, described: d, rule: {everything: test}}", "exactly one of rule, published, described"),
        (
            "{name: a, evidence: e, rule: {everything: test, every: 4, test: [3]}}",
            "exactly one of every, shuffle, everything",
        ),
        ("{name: a, evidence: e, rule: {every: 4, test: [4]}}", "remainders smaller than every"),
        ("{name: a, evidence: e, described: d}, {name: a, evidence: e, described: d}", "two splits are named a"),
    ):
        found = refused(tmp_path, SMALL + f"splits: [{split}]\n")
        assert any(problem in finding.problem for _, finding in found), found


# --- the whole file at once -------------------------------------------------------------------------------------


def test_M11_all_faults_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = edited(
        ("title: Small", "titel: Small"),
        ("summary: two pictures", "summary: two pictures\nsummary: again"),
        ("format: zip", "format: zip\n    sha256: ABC"),
        ("kind: http, url", "kind: htpp, url"),
        ("code: CODE", "code: ~"),
        ("[a-z]+", "(?=a)"),
        ("images: 2", "images: 0x2"),
    )
    found = refused(tmp_path, text)
    lines = [line for line, _ in found]
    assert lines == sorted(lines)
    needles = ("titel", "summary: again", "sha256: ABC", "htpp", "code: ~", "(?=a)", "images: 0x2")
    assert {line_of(text, needle) for needle in needles} <= set(lines)
    assert "the key title is missing" in {finding.problem for _, finding in found}
    assert len(found) == len(needles) + 1


def test_the_refusal_says_how_many_and_what_next(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(edited(("title: Small", "titel: Small")))
    with pytest.raises(RefusedInput) as caught:
        load(path)
    assert "2 faults" in caught.value.message
    assert f"aigiqa lint {path}" in caught.value.hint
    assert caught.value.as_json()["kind"] == "refused"


# --- the vocabulary, the built-in manifests and the JSON Schema -------------------------------------------------


def test_the_vocabulary_keeps_unversioned_names_apart() -> None:
    slugs = set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators)
    assert {"midjourney", "stable-diffusion", "dall-e"} <= slugs
    assert {"stable-diffusion-1.4", "stable-diffusion-1.5", "dall-e-2", "dall-e-3", "attngan", "glide"} <= slugs
    assert {f"synthetic-{tree}" for tree in ("atlas", "birch", "cedar", "delta")} <= slugs


def test_a_wrong_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / VOCABULARY_NAME
    path.write_text("schema: 1\ngenerators: {Glide: {title: GLIDE}, glide: {titel: GLIDE}}\n")
    with pytest.raises(RefusedInput) as caught:
        load_vocabulary(path)
    problems = [finding.problem for finding in caught.value.findings]
    assert any("slug" in problem for problem in problems)
    assert any("titel" in (finding.found) for finding in caught.value.findings)


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_every_built_in_manifest_loads(path: Path) -> None:
    slugs = set(load_vocabulary(built_in_folder() / VOCABULARY_NAME).generators)
    database = load(path, generators=slugs)
    assert database.id == path.stem


def test_there_are_built_in_manifests() -> None:
    assert {"agiqa3k", "demo"} <= {path.stem for path in BUILT_IN}


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_the_json_schema_has_every_key_of_the_built_in_manifests(path: Path) -> None:
    schema = json_schema()
    unknown = sorted(
        _unknown_keys(yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader), schema, schema["$defs"], "")
    )
    assert unknown == []


def test_the_json_schema_forbids_other_keys() -> None:
    schema = json_schema()
    records = [schema, *(record for record in schema["$defs"].values() if "properties" in record)]
    assert all(record["additionalProperties"] is False for record in records)
    assert {"schema", "id", "assets", "labels", "expect"} <= set(schema["required"])


def test_the_json_schema_sees_an_unknown_key() -> None:
    data = yaml.load(SMALL.replace("role:", "rule:", 1), yaml.BaseLoader)
    schema = json_schema()
    assert list(_unknown_keys(data, schema, schema["$defs"], "")) == [".assets[].rule"]


def _unknown_keys(data: Any, schema: dict[str, Any], records: dict[str, Any], place: str) -> list[str]:
    """Keys of `data` that the schema has no place for, found by walking both."""
    options = [_resolved(option, records) for option in schema.get("anyOf", [schema])]
    if isinstance(data, list):
        items = next((o["items"] for o in options if "items" in o), None)
        return [key for entry in data for key in _unknown_keys(entry, items, records, place + "[]")] if items else []
    if not isinstance(data, dict):
        return []
    unknown = []
    for key, value in data.items():
        inner = [o["properties"][key] for o in options if key in o.get("properties", {})]
        inner += [o["additionalProperties"] for o in options if isinstance(o.get("additionalProperties"), dict)]
        if inner:
            unknown += _unknown_keys(value, _resolved(inner[0], records), records, f"{place}.{key}")
        else:
            unknown.append(f"{place}.{key}")
    return unknown


def _resolved(schema: dict[str, Any], records: dict[str, Any]) -> dict[str, Any]:
    reference = re.fullmatch(r"#/\$defs/(.+)", schema.get("$ref", ""))
    return records[reference[1]] if reference else schema


def test_the_beginning_of_a_hash_stands_where_nothing_else_is_known_of_it(tmp_path: Path) -> None:
    begun = ("    role: images\n    format: zip\n", "    role: images\n    format: zip\n    sha256_begins: f37072fd\n")
    assert read(tmp_path, edited(begun)).assets[0].sha256_begins == "f37072fd"
    whole = (begun[0], f"{begun[1]}    sha256: {'f' * 64}\n")
    for edits, told in (
        ((whole,), "sha256_begins stands where nothing else is known of the hash"),
        (((begun[0], begun[1].replace("f37072fd", "f370")),), "the first 6 to 63 hexadecimal digits"),
        (((begun[0], begun[1].replace("f37072fd", "F37072FD")),), "the first 6 to 63 hexadecimal digits"),
    ):
        assert told in only(tmp_path, edited(*edits))[1].problem
