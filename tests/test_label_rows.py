"""Label rows in great number: they wait in a file of the staging folder, and nothing else is different."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from test_tables_and_rules import manifest, table

from aigiqa_cli import expectations, label_rows, rules
from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.index import COLUMNS
from aigiqa_cli.installing.index_rows import Index, index_rows
from aigiqa_cli.label_rows import LabelRow, LabelRows, Reference, Room
from aigiqa_cli.manifest.models import Database
from aigiqa_cli.reporting import Counting, Silent

MANY = 26_000  # more than stay in memory
MANIFEST = f"""\
schema: 1
version: 1
id: crowd
title: Crowd
summary: Invented labels in great number.
synthetic: true
license: {{spdx: CC0-1.0, scope: everything, source: a test}}
citation: {{key: crowd, type: misc, title: Crowd, authors: [Nobody], year: 2026}}
assets:
  - {{name: crowd.zip, role: images, format: zip}}
  - {{name: crowd.csv, role: labels, format: csv}}
labels:
  - needs: [crowd.csv]
    tables: [{{file: crowd.csv, columns: [name, prompt, mos]}}]
    columns: {{prompt: prompt, generator: {{const: glide}}, task: {{const: t2i}}}}
    scores: {{quality: {{mos: mos, range: [0, 5]}}}}
    image: {{id: name, find: ["{{name}}"], names: '^[0-9]{{5}}\\.png$'}}
expect: {{images: {MANY}, rows: {MANY}, prompts: {MANY // 4}, generators: {{glide: {MANY}}}}}
splits:
  - {{name: fifth, evidence: a test, rule: {{every: 5, test: [4]}}}}
  - {{name: shuffled, evidence: a test, rule: {{shuffle: {{seed: 3, train: 0.8}}}}}}
"""


def row(number: int) -> LabelRow:
    return LabelRow(
        f"t.csv:{number + 2}",
        {"prompt": 'a "red",\nöl\u2028 cat', "mos_quality": f"{number}.50"},
        f"{number}.png",
        (f"x/{number}.png", f"{number}.png"),
        {"aliases": [f"y/{number}.png"], "votes": "3"} if number % 2 else {},
        Reference("r.png", ("a/r.png", "r.png")) if number % 3 else None,
        ("duplicate-label",) if number % 5 == 0 else (),
    )


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Room(tmp_path) as made:
        yield made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_rows, "FEW", 3)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 200])
def test_rows_in_a_file_are_the_rows_that_were_appended(count: int, room: Room, tmp_path: Path) -> None:
    given = [row(number) for number in range(count)]
    rows = LabelRows(room, given)
    assert list(rows) == given
    assert list(rows) == given, "as often as it takes"
    assert len(rows) == count
    assert [rows[number] for number in range(count)] == given
    assert rows[count // 2 :] == given[count // 2 :]
    assert rows[::-1] == given[::-1]
    if count:
        assert rows[-1] == given[-1]
    with pytest.raises(IndexError):
        rows[count]
    assert rows == LabelRows(None, given)
    assert rows != LabelRows(None, [*given, row(count)])
    assert rows != given
    assert not list(tmp_path.iterdir()), "the file has no name"


@pytest.mark.usefixtures("few")
def test_a_row_that_is_longer_than_a_block(room: Room) -> None:
    given = [LabelRow("t", {"prompt": letter * 200_000}, letter, ()) for letter in "abcdef"]
    assert list(LabelRows(room, given)) == given


@pytest.mark.usefixtures("few")
def test_rows_that_are_read_while_others_are_appended(room: Room) -> None:
    rows = LabelRows(room, map(row, range(5)))
    reading = iter(rows)
    assert next(reading) == row(0)
    rows.append(row(5))
    assert rows[5] == row(5)
    assert list(rows) == [row(number) for number in range(6)]


@pytest.mark.usefixtures("few")
def test_changed_rows(room: Room) -> None:
    rows = LabelRows(room, map(row, range(9)))
    odd = rows.changed(lambda number, one: one if number % 2 else None)
    assert [one.image_id for one in odd] == ["1.png", "3.png", "5.png", "7.png"]
    assert len(rows) == 9


PLAIN = [f"glide_{number}.png,p{number // 2},{number}.0,0" for number in range(6)]


def applied(lines: list[str], room: Room | None, **source: Any) -> rules.Labels:
    database = Database.model_validate(manifest(source=source))
    return rules.apply(database, database.labels[0], lambda _: io.BytesIO(table(*lines)), room)


def scored(**more: Any) -> dict[str, Any]:
    return {"quality": {"mos": "mos", "range": ["0", "100"]} | more}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("in_file", [True, False])
def test_T05_the_first_of_two_stays_and_each_other_is_told(in_file: bool, room: Room) -> None:
    twice = ["sd_1.png,p,7,0", "GLIDE_2.png,x,1,0", "glide_2.png,x,1,0", "glide_9.png,x,nan,0", "sd_1.png,x,2,0"]
    recode = {"generator": {"glide": "glide", "GLIDE": "glide", "sd": "stable-diffusion"}}
    labels = applied([*PLAIN, *twice], room if in_file else None, scores=scored(),
                     extract={"name": r"(?i)^(?P<model>[a-z]+)_(?P<number>\d+)\.png$"}, recode=recode)  # fmt: skip
    assert [one.image_id for one in labels.rows] == [*(f"glide_{n}.png" for n in range(6)), "sd_1.png"]
    assert [(one.path, one.found) for one in labels.rejected] == [
        ("t.csv:9", "GLIDE_2.png, also t.csv:4"),
        ("t.csv:10", "glide_2.png, also t.csv:4"),
        ("t.csv:11", "'nan'"),
        ("t.csv:12", "sd_1.png, also t.csv:8"),
    ]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("in_file", [True, False])
def test_declared_duplicates_are_one_row_with_both_scores(in_file: bool, room: Room) -> None:
    image = {"id": "name", "find": ["{name}"], "duplicates": ["glide_2.png"]}
    lines = [*PLAIN, "glide_2.png,x,9.50,0", "glide_2.png,x,8,0", "glide_4.png,x,8,0"]
    labels = applied(lines, room if in_file else None, scores=scored(), image=image)
    assert [one.image_id for one in labels.rows] == [f"glide_{number}.png" for number in range(6)]
    one = labels.rows[2]
    assert (one.fields["mos_quality"], one.extra["mos_other"], set(one.flags)) == ("2.0", "8", {"duplicate-label"})
    assert [(found.path, found.expected) for found in labels.declared] == [
        ("t.csv:8", "t.csv:4"),
        ("t.csv:9", "t.csv:4"),
    ]
    assert [found.path for found in labels.rejected] == ["t.csv:10"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize(("up_to", "first"), [("5", "10"), ("4.9", "1.0")])
def test_a_shift_for_small_numbers_alone(up_to: str, first: str, in_file: bool, room: Room) -> None:
    lines = [*PLAIN, "glide_7.png,x,,0"]
    scores = scored(scale="10", scale_up_to=up_to, optional=True)
    labels = applied(lines, room if in_file else None, scores=scores)
    found = [one.fields["mos_quality"] for one in labels.rows]
    assert [Decimal(text) for text in found[:6]] == [Decimal(first) * number for number in range(6)]
    assert found[6] == ""
    assert labels.rows[5].fields["score_quality"] == ("0.500000" if up_to == "5" else "0.050000")


def test_T04_of_bad_rows_without_end_the_first_are_told_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MAX_REJECTED", 4)
    labels = applied([*PLAIN, *(f"glide_{n}.png,x,nan,0" for n in range(10, 20))], None, scores=scored())
    assert ([one.path for one in labels.rejected], labels.untold) == ([f"t.csv:{n}" for n in range(8, 12)], 6)
    with pytest.raises(RefusedInput, match="and 9 more rows"):
        rules.refuse_undeclared(labels, Database.model_validate(manifest()))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("prompts", "fits"), [(["3", "3"], True), (["4", "9"], False), (["1", "2"], False)])
def test_T06_distinct_prompts_of_many_rows(prompts: list[str], fits: bool, room: Room) -> None:
    expect = {"images": "6", "rows": "6", "prompts": prompts, "generators": {"glide": "6"}}
    database = Database.model_validate(manifest(source={"scores": scored()}, expect=expect))
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(table(*PLAIN)), room)
    if fits:
        expectations.check(database, database.labels[0], labels)
        return
    with pytest.raises(RefusedInput, match=f"distinct prompts: expected {prompts[0]} to {prompts[1]}, found 3"):
        expectations.check(database, database.labels[0], labels)


@pytest.fixture
def crowd(run: Command, manifests: Callable[[str, str], Path]) -> tuple[Command, Path]:
    manifests("crowd", MANIFEST)
    path = run.work / "crowd.csv"
    lines = (f'{n:05}.png,"fox, {n // 4}",{n % 500 / 100:.2f}\n' for n in range(MANY))
    path.write_text("name,prompt,mos\n" + "".join(lines))
    return run, path


def test_more_rows_than_stay_in_memory_are_installed(crowd: tuple[Command, Path]) -> None:
    import numpy as np

    run, path = crowd
    run("import", "crowd", path, code=0)
    with (run.root / "crowd" / "index.csv").open(newline="") as stream:
        index = list(csv.DictReader(stream))
    assert [one["row"] for one in index] == [str(number) for number in range(MANY)]
    for number in (0, 1, 4_321, 24_999, 25_000, 25_001, MANY - 1):
        one = index[number]
        assert (one["image_id"], one["prompt"], one["flags"]) == (f"{number:05}.png", f"fox, {number // 4}", "no-image")
        assert one["prompt_id"] == hashlib.sha256(f"fox, {number // 4}".encode()).hexdigest()[:12]
        assert one["mos_quality"] == f"{number % 500 / 100:.2f}"
        assert one["score_quality"] == f"{number % 500 / 500:.6f}"
    parts = {}
    for name in ("fifth", "shuffled"):
        with (run.root / "crowd" / "splits" / f"{name}.csv").open(newline="") as stream:
            parts[name] = [(one["image_id"], one["split"]) for one in csv.DictReader(stream)]
        assert all(a[0] < b[0] for a, b in pairwise(parts[name])), "in the order of the index"
    fifth = [(f"{n:05}.png", "test" if n % 5 == 4 else "train") for n in range(MANY)]
    assert parts["fifth"] == fifth
    np.random.seed(3)  # noqa: NPY002 - the very generator that published code uses
    order = np.arange(MANY)
    np.random.shuffle(order)  # noqa: NPY002
    train = set(order[: MANY * 8 // 10].tolist())
    assert parts["shuffled"] == [(f"{n:05}.png", "train" if n in train else "test") for n in range(MANY)]
    run("verify", "crowd", code=0)


def test_T05_one_name_twice_among_many_rows_installs_nothing(crowd: tuple[Command, Path]) -> None:
    run, path = crowd
    with path.open("a") as stream:
        stream.write("00007.png,again,1.00\n")
    done = run("import", "crowd", path, code=5)
    assert f"crowd.csv:{MANY + 2}: the same image is labelled twice" in done.err
    assert "00007.png, also crowd.csv:9" in done.err
    assert not (run.root / "crowd").exists()


@pytest.mark.parametrize(("count", "told"), [(9_999, []), (10_000, [10_000]), (30_001, [10_000] * 3 + [1])])
def test_rows_are_told_of_by_the_ten_thousand(count: int, told: list[int]) -> None:
    phases: list[tuple[str, int | None, str]] = []
    amounts: list[int] = []

    class Heard(Silent):
        def phase(self, name: str, *, total: int | None = None, unit: str = "bytes", done: int = 0) -> None:
            phases.append((name, total, unit))

        def advance(self, amount: int = 1) -> None:
            amounts.append(amount)

    counting = Counting(Heard(), "reading", 40_000)
    for _ in range(count):
        counting.one()
    counting.end()
    assert amounts == told
    assert phases == ([("reading", 40_000, "rows")] if told else [])


def test_each_row_of_a_table_is_heard_of() -> None:
    heard: list[int] = []
    database = Database.model_validate(manifest(source={"scores": scored()}))
    lines = table(*PLAIN, "glide_7.png,x,nan,0")
    labels = rules.apply(
        database, database.labels[0], lambda _: io.BytesIO(lines), heard=lambda: heard.append(len(heard))
    )
    assert (len(heard), len(labels.rows), len(labels.rejected)) == (7, 6, 1)


@pytest.mark.usefixtures("few")
def test_nameless_files_are_gone_when_the_block_ends_however_it_ends(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    def break_off() -> None:
        with Room(tmp_path) as room:
            LabelRows(room, map(row, range(9))).changed(lambda _, one: one)
            assert opened() == before + 2
            raise ZeroDivisionError

    before = opened()
    with pytest.raises(ZeroDivisionError):
        break_off()
    assert opened() == before


def test_S06_a_full_disk_is_told_once(crowd: tuple[Command, Path]) -> None:
    """What could not be written is not tried again when the file is closed."""
    run, path = crowd
    command = ["aigiqa", "--json", "import", "crowd", str(path)]
    limited = f'ulimit -f 3000; exec {shlex.quote(sys.executable)} -m aigiqa_cli "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, *command],
        env=run.environment,
        cwd=run.work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["error"]["fault"] == "S06"
    assert "Traceback" not in done.stderr
    assert not (run.root / "crowd").exists()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_an_index_is_read_as_it_was_written(count: int, tmp_path: Path) -> None:
    given = [dict.fromkeys(COLUMNS, "") | {"image_id": f"{n}.png", "image_path": "x" * (n % 2)} for n in range(count)]
    heard: list[int] = []
    index = Index(tmp_path / "index.csv", iter(given), lambda: heard.append(1))
    assert (len(index), index.pictured, len(heard)) == (count, count // 2, count)
    assert list(index) == list(index) == given


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("in_file", [True, False])
def test_an_image_without_a_row_is_one_wherever_the_rows_are(in_file: bool, room: Room) -> None:
    image = {"id": "name", "find": ["{name}"], "unlabelled": ["glide_3.png", "glide_8.png", "glide_9.png"]}
    labels = applied(PLAIN, room if in_file else None, scores=scored(), image=image)
    assert [one.image_id for one in labels.unlabelled] == ["glide_8.png", "glide_9.png"]


def test_T06_labels_of_some_rows_are_not_held_against_scores_that_they_lack() -> None:
    statistics = {"min": "0", "max": "5.0", "mean": "2.5"}
    expect = {
        "images": "9",
        "rows": "9",
        "generators": {"glide": "9"},
        "mos": {"quality": statistics, "alignment": statistics},
    }
    database = Database.model_validate(manifest(source={"scores": scored(), "partial": "6"}, expect=expect))
    labels = rules.apply(database, database.labels[0], lambda _: io.BytesIO(table(*PLAIN)))
    expectations.check(database, database.labels[0], labels)


@pytest.mark.parametrize("others", [0, 4])
def test_T05_of_names_that_stand_twice_without_end_the_first_are_told(
    others: int, monkeypatch: pytest.MonkeyPatch, room: Room
) -> None:
    monkeypatch.setattr(label_rows, "FEW", 3)
    monkeypatch.setattr(rules, "MAX_REJECTED", 4)
    lines = [f"glide_{n}.png,x,1,0" for n in range(50 + others)] + [f"glide_{n}.png,x,1,0" for n in range(49, -1, -1)]
    labels = applied(lines, room, scores=scored())
    told = [(one.path, one.found) for one in labels.rejected]
    first = 52 + others
    assert told == [(f"t.csv:{first + n}", f"glide_{49 - n}.png, also t.csv:{51 - n}") for n in range(4)]
    assert labels.untold == 46
    with pytest.raises(RefusedInput, match="and 49 more rows"):
        rules.refuse_undeclared(labels, Database.model_validate(manifest()))


@pytest.mark.usefixtures("few")
def test_T05_declared_duplicates_without_end_are_refused(monkeypatch: pytest.MonkeyPatch, room: Room) -> None:
    monkeypatch.setattr(rules, "MAX_REJECTED", 4)
    image = {"id": "name", "find": ["{name}"], "duplicates": ["glide_2.png"]}
    labels = applied([*PLAIN, *["glide_2.png,x,1,0"] * 20], room, scores=scored(), image=image)
    assert (len(labels.declared), [one.path for one in labels.rejected], labels.untold) == (4, ["t.csv:12"], 15)


def test_T18_further_columns_that_fit_no_cell() -> None:
    long = LabelRow("t.csv:2", {"prompt": ""}, "a.png", ("a.png",), {"one": "x" * 600_000, "two": "y" * 600_000})
    labels = rules.Labels((long,), ())
    database = Database.model_validate(manifest())
    with pytest.raises(RefusedInput, match=r"t\.csv:2: its further columns are too long") as caught:
        list(index_rows(database, labels, {}))
    assert caught.value.fault == "T18"
