"""Bad manifests, each with the line and the words of its refusal (M01-M18): one list, all of it in every run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rigs import Rig
from test_manifest import SLUGS, SMALL, edited, line_of

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.manifest import load


@dataclass(frozen=True)
class Bad:
    """The small manifest with one fault: `said` stands in the finding, `line` is where (0: anywhere)."""

    name: str
    text: str | bytes
    said: str
    line: int = 0


def put(name: str, old: str, new: str, said: str) -> Bad:
    text = edited((old, new))
    return Bad(name, text, said, line_of(text, new.strip("\n").split("\n")[-1]) if new.strip() else 0)


def _yaml() -> Iterator[Bad]:
    for number, tag in enumerate(("!!python/object/apply:os.system", "!!python/name:os.system", "!!python/module:os",
                                  "!!str", "!!binary", "!!timestamp", "!own", "!", "!!set", "!!omap", "!!null")):  # fmt: skip
        yield put(f"M01-{number}", "title: Small", f"title: {tag} Small", "tags are not allowed")
        yield put(f"M01-key-{number}", "title: Small", f"{tag} title: Small", "tags")
    yield put("M01-directive", "schema: 1", "%TAG ! tag:example.org,2026:\n---\nschema: !x 1", "tags are not allowed")
    yield put("M02-anchor", "title: Small", "title: &a Small", "anchors are not allowed")
    yield put("M02-anchor-of-map", "license: {", "license: &l {", "anchors are not allowed")
    yield put("M02-anchor-of-key", "title: Small", "&k title: Small", "anchors")
    yield put("M02-alias", "summary: two pictures", "summary: *a", "aliases are not allowed")
    yield put("M02-alias-key", "title: Small", "*a : Small", "a key must be text")
    yield put("M02-merge", "license: {", "license: {<<: {note: x}, ", "merge keys are not allowed")
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    yield Bad("M02-bomb", bomb, "aliases are not allowed")
    for old, key in (("title: Small", "title"), ("schema: 1", "schema"), ("expect: {images: 2", "images")):
        new = f"{old}\n{key}: x" if key != "images" else "expect: {images: 2, images: 3"
        yield put(f"M03-{key}", old, new, "the key stands twice")
    yield put("M03-quoted", "title: Small", "title: Small\n'title': Other", "the key stands twice")
    yield put("M03-escaped", "title: Small", 'title: Small\n"\\x74itle": Other', "the key stands twice")
    for number, nothing in enumerate(("", "~", "null", "Null", "NULL", "''", '""')):
        yield Bad(f"M04-empty-{number}", edited(("title: Small", f"title: {nothing}")), "a value is missing", 4)
    for word in ("0x2", "0o2", "2.0", "+2", "02", "1_0", "2e0", "-2", "two", "٢", "1:30", "２", "9" * 19):
        yield put(f"M04-count-{word}", "images: 2", f"images: '{word}'", "whole number")
    for word in ("1e1", ".5", "5.", "inf", "nan", "0,5", "1_0", "0x5", "５"):
        yield put(f"M04-number-{word}", "range: [0, 5]", f"range: [0, '{word}']", "decimal number")
    for word in ("yes", "on", "True", "1", "y", "TRUE", "off"):
        yield put(f"M04-flag-{word}", "format: zip", f"format: zip\n    optional: {word}", "true or false")
    for word in ("2024-1-2", "2024-13-01", "today", "20240102", "2024-02-30"):
        new = f"url: https://pan.baidu.com/s/1abc, health: {{state: ok, source: s, date: {word}}}"
        yield put(f"M04-date-{word}", "url: https://pan.baidu.com/s/1abc", new, "")
    yield Bad("M05-two", SMALL + "---\nschema: 1\n", "more than one YAML document", 28)
    yield Bad("M05-mark", b"\xef\xbb\xbf" + SMALL.encode(), "control character", 1)
    yield Bad("M05-utf-16", SMALL.encode("utf-16"), "not UTF-8")
    yield Bad("M05-latin-1", SMALL.replace("two", "dé").encode("latin-1"), "not UTF-8", 5)
    yield Bad("M05-empty", "", "the file is empty")
    yield Bad("M05-list", "- a\n", "not a manifest")
    yield Bad("M05-word", "word\n", "not a manifest")
    yield Bad("M05-large", SMALL + "#" + "x" * (1 << 20), "too large")
    yield Bad("M05-deep", SMALL + "facts: " + "[" * 5_000 + "]" * 5_000, "nested too deeply", 28)
    yield Bad("M05-tab", edited(("    format: zip", "\tformat: zip")), "not YAML", 11)
    yield Bad("M05-open", edited(("title: Small", "title: [Small")), "not YAML")
    yield Bad("M05-key-map", SMALL + "{a: b}: x\n", "a key must be text", 28)
    yield Bad("M05-key-list", SMALL + "? [a]\n: x\n", "a key must be text", 28)
    yield Bad("M05-json5", json.dumps({"schema": 1}) + "//", "")
    for character in "\x00\x01\x07\x08\x0b\x0c\x0e\x1b\x1c\x1f\x7f\x80\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff":
        text = edited(("title: Small", f"title: Sm{character}all"))
        yield Bad(f"M16-{ord(character):04x}", text, "control character", 4)


def _values() -> Iterator[Bad]:
    good = "https://example.org/pictures.zip"
    for number, url in enumerate((
        "ftp://example.org/a.zip", "file:///etc/passwd", "data:text/plain,x", "https://user:secret@example.org/a.zip",
        "https://user@example.org/a.zip", "https://exämple.org/a.zip", "https://\u0435xample.org/a.zip", "https:///a.zip",
        "//example.org/a.zip", "https://example.org:123456/a.zip", "'https://example.org/a b.zip'", "javascript:alert(1)",
        "'https://example.org/a#b'", "'https://example.org/a\\nb'", "HTTPS://example.org/a", "https://exa_mple.org/a",
        "https://example.org\\a", "'https://[::1]/a'", "https:example.org/a", "https://example.org:/a", "https://ex%61mple.org/",
    )):  # fmt: skip
        yield put(f"M06-{number}", good, url, "")
    for number, pattern in enumerate((r"(?=a)(?P<model>a)", r"(?P<model>a)\1", "(?P<model>a", "(?P<model>a){2000}",
                                      "(?<model>a)(?!b)", "(?P<model>a)" + "b" * 500, "(?P<model>[a", "(?P<model>a)*+")):  # fmt: skip
        yield put(f"M08-{number}", "^(?P<model>[a-z]+)", pattern, "")
    for number, path in enumerate(("../a.zip", "/etc/passwd", "a/../../b", r"a\b.zip", "C:/a.zip", "a//b", "CON.zip", "a./b",
                                   "a ", "a\u0308.zip", ".", "..", "./a", "a/.", "aux", "x" * 256, "a:b", "a|b", "a*b",
                                   "com¹.zip", "CON .zip", "conin$", "lpt9.a.b")):  # fmt: skip
        yield put(f"M09-{number}", "format: zip", f"format: zip\n    file: '{path}'", "")
    for number, digest in enumerate(("A" * 64, "a" * 63, "a" * 65, "g" * 64, "d41d8cd98f00b204e9800998ecf8427e", "a" * 40,
                                     "sha256:" + "a" * 64, "'" + "a" * 64 + " '", "0x" + "a" * 62, "'\\ufeff" + "a" * 63 + "'")):  # fmt: skip
        yield put(
            f"M10-{number}", "format: zip", f"format: zip\n    sha256: {digest}", "64 lower-case hexadecimal digits"
        )
    for number, key in enumerate(("sha265", "SHA256", "sha-256", "md5", "sha1", "checksum", "size", "byte", "verify", "insecure",
                                  "hook", "command", "script", "run", "exec", "post_install", "template", "env", "plugin")):  # fmt: skip
        yield put(f"M11-{key}-{number}", "format: zip", f"format: zip\n    {key}: {'a' * 64}", "unknown key")
    for number, name in enumerate(("sm\u0430ll", "Small", "-small", "sm all", "\uff53mall", "s" * 65, "../small", "small/", ".small",
                                   "con", "nul", "small.", "index.csv", "com1.x", "aux.yaml")):  # fmt: skip
        yield put(f"M12-{number}", "id: small", f"id: '{name}'", "")
    for old, new in (("images: 2", "images: 0"), ("rows: 2", "rows: 0"), ("{glide: 2}", "{glide: 0}"),
                     ("images: 2", "images: [3, 2]"), ("images: 2", "images: [0, 0]"), ("generators: {glide: 2}", "generators: {}")):  # fmt: skip
        yield put(f"M14-{new}", old, new, "")
    for key in ("expect", "labels", "assets", "citation", "license", "title"):
        lines = SMALL.split(f"\n{key}:")
        rest = lines[1].split("\n", 1)[1]
        while rest.startswith((" ", "-")):
            rest = rest.split("\n", 1)[1] if "\n" in rest else ""
        yield Bad(f"M14-without-{key}", f"{lines[0]}\n{rest}", f"the key {key} is missing")
    mirror = "      - {kind: http, url: https://example.org/pictures.zip}\n"
    for count in (21, 10_000):
        yield Bad(f"M17-{count}", edited((mirror, mirror * count)), "too many entries", 12)
    for schema in ("2", "99", "999999999"):
        yield Bad(f"M18-{schema}", edited(("schema: 1", f"schema: {schema}")), "written for a newer aigiqa", 1)


MANIFESTS = {bad.name: bad for made in (_yaml, _values) for bad in made()}


ALSO: dict[str, tuple[str, ...]] = {"M05-mark": ("M16",), "M06-2": ("M11",), "M02-alias-key": ("M05",)} | {
    f"M14-without-{key}": ("M11",) for key in ("labels", "assets", "citation", "license", "title")
}  # where the first fault in the file is another one


def test_there_are_enough() -> None:
    assert len(MANIFESTS) >= 120


@pytest.mark.rig("bad-manifests", sample=10_000, share=0.5)  # all of them: there are fewer
@pytest.mark.parametrize("half", range(2))
def test_M01_M18_bad_manifests_are_refused(rig: Rig, half: int, tmp_path: Path) -> None:
    chosen = list(MANIFESTS.values())[half::2]
    rig.length = min(rig.length, len(chosen))
    path, wrong = tmp_path / "small.yaml", []
    for bad in chosen[: rig.length]:
        path.write_bytes(bad.text.encode() if isinstance(bad.text, str) else bad.text)
        began = time.process_time()
        fault, found = _refusal(path)
        if not found or time.process_time() - began > 1:
            wrong.append(f"{bad.name}: {'took too long' if found else 'accepted'}")
        elif fault not in (bad.name[:3], *ALSO.get(bad.name, ())):
            wrong.append(f"{bad.name}: the error object says {fault}: {found[0]}")
        elif not any(bad.said in problem and bad.line in (0, line) for line, problem in found):
            wrong.append(f"{bad.name}: expected {bad.said!r} on line {bad.line}, found {found[:3]}")
        rig.did()
    assert not wrong, "\n".join(wrong)


def _refusal(path: Path) -> tuple[str, list[tuple[int, str]]]:
    try:
        load(path, generators=SLUGS)
    except RefusedInput as fault:
        assert int(fault.exit_code) == 5
        assert fault.fault
        assert fault.hint
        return fault.fault, [(int(finding.path.rpartition(":")[2]), finding.problem) for finding in fault.findings]
    return "", []


# ---------------------------------------------------------------------------------------------------------------------
# M15: nothing in a manifest is ever carried out
# ---------------------------------------------------------------------------------------------------------------------

ACTIVE = ["$HOME", "${HOME}", "$(touch canary)", "`touch canary`", "{{ 7*7 }}", "{0.__class__}", "%(HOME)s", "%s%n", "~/x",
          "; touch canary", "| touch canary", "&& touch canary", "__import__('os')", "<%= 1 %>", "@file", "file:///etc/passwd"]  # fmt: skip


@pytest.mark.parametrize("text", ACTIVE)
def test_M15_text_stays_text(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    quoted = json.dumps(text)
    path.write_text(edited(("title: Small", f"title: {quoted}"), ("code: CODE", f"code: {quoted}")))
    database = load(path, generators=SLUGS)
    assert database.title == text
    assert database.asset("labels.csv").mirrors[0].code == text
    assert os.listdir(tmp_path) == ["small.yaml"]
