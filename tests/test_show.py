"""aigiqa show: names, rows, damage, and the picture as terminals read it. Sixel and half blocks are decoded again."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import pty
import re
import select
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import LIMIT, Command
from PIL import Image, ImageDraw
from rich.segment import Segment

from aigiqa_cli import images
from aigiqa_cli.cli.pictures import drawing
from aigiqa_cli.cli.pictures import screen as screens
from aigiqa_cli.describing.scores import scores_of
from aigiqa_cli.describing.standing import standing
from aigiqa_cli.index import COLUMNS, KINDS

T2I, I2I = "atlas_normal_000.png", "atlas_edit_010.png"
QUESTION = b"\x1b[c"
ANSWERS = {
    "kitty": b"\x1b_Gi=31;OK\x1b\\\x1b[6;40;20t\x1b[?62;c",
    "sixel": b"\x1b[6;20;10t\x1b[?62;4;22c",
    "blocks": b"\x1b[?64;1;9;15c",
}


@pytest.fixture
def demo(run: Command, ready: Path) -> Command:
    run.root.symlink_to(ready)
    return run


@pytest.fixture
def mine(run: Command, ready: Path) -> Command:
    """A copy that may be damaged."""
    shutil.copytree(ready, run.root)
    return run


def row_of(run: Command, image: str) -> dict[str, str]:
    with (run.root / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        return next(row for row in csv.DictReader(stream) if row["image_id"] == image)


def data(run: Command, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = run("show", "demo", *words, "--json", code=code).json()["data"]
    return found


def at_terminal(run: Command, *words: str, answer: bytes, **environment: str) -> tuple[str, int]:
    """What a terminal of 100 columns that answers so gets to see; and the exit code."""
    master, slave = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "40"} | environment
    with run.start(*words, env=settings, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen, deadline, asked = b"", time.monotonic() + LIMIT, False
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 65_536)
                except OSError:
                    break
            elif process.poll() is not None:
                break
            if not asked and QUESTION in seen:
                os.write(master, answer)
                asked = True
        process.wait(timeout=LIMIT)
    os.close(master)
    return seen.decode("utf-8"), process.returncode


# --- the row -------------------------------------------------------------------------------------------------------


def test_the_row_has_types_and_the_score_its_place(demo: Command) -> None:
    found = data(demo, T2I)
    row = row_of(demo, T2I)
    assert list(found["row"]) == list(COLUMNS)
    for column, value in found["row"].items():
        kind, text = KINDS[column], row[column]
        expected = {
            "text": lambda text=text: text,
            "number": lambda text=text: float(text) if text else None,
            "integer": lambda text=text: int(text) if text else None,
            "json": lambda text=text: json.loads(text or "{}"),
        }[kind]()
        assert (value, type(value)) == (expected, type(expected)), column
    quality = found["scores"]["quality"]
    with (demo.root / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        scores = [float(one["mos_quality"]) for one in csv.DictReader(stream)]
    below, equal = sum(one < quality["mos"] for one in scores), scores.count(quality["mos"])
    assert quality["percentile"] == pytest.approx(100 * (below + equal / 2) / 60)
    assert (quality["range"], quality["n"], quality["std"], quality["unit"]) == ([0, 5], 60, 0.9803, 0.744)
    (file,) = found["files"]
    assert file == {
        "role": "image", "path": str(demo.root.resolve() / row["image_path"]), "bytes": int(row["bytes"]), "sha256": row["sha256"],
        "checked": True, "problem": "",
    }  # fmt: skip
    assert [one["role"] for one in data(demo, I2I, "--no-picture")["files"]] == ["image", "reference"]


@pytest.mark.parametrize(
    "name", [T2I, "atlas_normal_000", "ATLAS_NORMAL_000.PNG", f"any/folder/{T2I}", f"any\\folder\\{T2I}"]
)
def test_any_published_name_is_taken(demo: Command, name: str) -> None:
    out = demo("show", "Demo", name, code=0).out
    fields = dict(line.split("\t", 1) for line in out.splitlines())
    row = row_of(demo, T2I)
    assert fields == {column: text for column, text in row.items() if text} | {
        "image_file": str(demo.root.resolve() / row["image_path"])
    }


def test_aliases_are_names(run: Command, shared: Path) -> None:
    """AIGCIQA2023, section 5 of the report: Controlnet/000-2.png is 1.png."""
    tables = ("pic-index.xlsx", "AIGCIQA2023_Prompts.xlsx", "AIGIQA2023.json")
    run("import", "aigciqa2023", *(shared / "data/aigciqa2023" / name for name in tables), code=0)
    fields = dict(
        line.split("\t", 1) for line in run("show", "aigciqa2023", "Controlnet\\000-2.png", code=0).out.splitlines()
    )
    assert (fields["image_id"], "image_file" in fields) == ("1.png", False)
    seen, _ = at_terminal(run, "show", "aigciqa2023", "1.png", answer=b"", NO_COLOR="1")
    assert "only the labels are here" in seen
    assert QUESTION.decode() not in seen, "no picture, no question"


def test_a_miss_names_the_nearest(demo: Command) -> None:
    done = demo("show", "demo", "atlas_norml_000.png", code=2)
    assert T2I in done.err
    assert "export demo" in demo("show", "demo", "qqqqqqqqqq", code=2).err
    assert "aigiqa fetch agiqa3k" in demo("show", "agiqa3k", "x.jpg", code=2).err


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "wrong length"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"), "wrong checksum"),
        (
            lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to(path.with_suffix(".x"))),
            "not a regular file",
        ),
    ],
)
def test_other_bytes_than_the_recorded_ones_are_told_and_not_shown(mine: Command, damage: Any, problem: str) -> None:
    path = mine.root / row_of(mine, T2I)["image_path"]
    damage(path)
    done = mine("show", "demo", T2I, "--json", code=4).json()
    assert done["data"]["files"][0]["problem"] == problem
    assert done["error"]["hint"] == "aigiqa verify --repair demo"
    assert done["data"]["row"]["image_id"] == T2I
    if problem == "wrong checksum":
        seen, code = at_terminal(mine, "show", "demo", T2I, answer=ANSWERS["kitty"])
        assert code == 4
        assert "\x1b_Ga=T" not in seen
        assert "wrong checksum" in seen
    mine("show", "demo", T2I, "--no-picture", code=0)


def test_a_reference_is_checked_too(mine: Command) -> None:
    path = mine.root / row_of(mine, I2I)["reference_path"]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    found = data(mine, I2I, code=4)["files"]
    assert [(file["role"], file["problem"]) for file in found] == [("image", ""), ("reference", "wrong checksum")]


# --- the picture at a terminal -------------------------------------------------------------------------------------


def test_kitty_gets_the_picture_as_png_in_the_size_of_its_cells(demo: Command) -> None:
    seen, code = at_terminal(demo, "show", "demo", T2I, answer=ANSWERS["kitty"])
    assert code == 0
    parts = re.findall(r"\x1b_G([^;\x1b]*);([^\x1b]*)\x1b\\", seen)[1:]  # the first is the question
    assert parts[0][0].startswith("a=T,f=100,q=2,m=")
    assert [keys[-1] for keys, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert all(len(chunk) <= 4096 for _, chunk in parts)
    shown = Image.open(io.BytesIO(base64.b64decode("".join(chunk for _, chunk in parts))))
    assert shown.size == (256, 192), "twice its own size, and no more"
    original = Image.open(demo.root / row_of(demo, T2I)["image_path"]).convert("RGB").resize((256, 192))
    assert np.abs(np.asarray(shown, dtype=float) - np.asarray(original, dtype=float)).mean() < 4
    assert "of 0-5" in seen


def test_the_reference_stands_beside_the_image(demo: Command) -> None:
    seen, _ = at_terminal(demo, "show", "demo", I2I, answer=ANSWERS["kitty"], NO_COLOR="1")
    parts = re.findall(r"\x1b_G[^;\x1b]*;([^\x1b]*)\x1b\\", seen)[1:]
    shown = Image.open(io.BytesIO(base64.b64decode("".join(parts))))
    assert shown.size == (2 * (128 + 8 + 128), 192)


def test_half_blocks_where_nothing_else_is_known(demo: Command) -> None:
    seen, _ = at_terminal(demo, "show", "demo", T2I, answer=ANSWERS["blocks"])
    assert len(re.findall(r"▀", seen)) == 64 * 24
    assert "\x1b_Ga=T" not in seen


@pytest.mark.parametrize("words", [["--no-picture"], ["--no-color"], ["--json"]])
def test_no_picture_where_none_is_wanted(demo: Command, words: list[str]) -> None:
    seen, code = at_terminal(demo, "show", "demo", T2I, *words, answer=ANSWERS["blocks"])
    assert code == 0
    assert "▀" not in seen
    assert T2I in seen


# --- what terminals say --------------------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends: that of a person and that of a program."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


TERMINALS = {
    "kitty": (ANSWERS["kitty"], {"TERM": "xterm-kitty"}, screens.Screen("kitty", (20, 40))),
    "xterm": (ANSWERS["sixel"], {"TERM": "xterm"}, screens.Screen("sixel", (10, 20))),
    "VT 64 with 14": (b"\x1b[?64;14c", {"TERM": "xterm"}, screens.Screen("blocks", (10, 20))),
    "a kind called 4": (b"\x1b[?4c", {"TERM": "xterm"}, screens.Screen("blocks", (10, 20))),
    "iTerm2": (
        b"\x1b[?62;4c",
        {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"},
        screens.Screen("iterm2", (10, 20)),
    ),
    "iTerm2 in tmux": (
        b"\x1b[?1;2c",
        {"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"},
        screens.Screen("blocks", (10, 20)),
    ),
    "no size": (b"\x1b[6;0;0t\x1b[?62;4c", {"TERM": "xterm"}, screens.Screen("sixel", (10, 20))),
}


@pytest.mark.parametrize("name", TERMINALS)
def test_the_terminal_says_what_it_can(terminal: tuple[int, int], name: str) -> None:
    answer, environment, expected = TERMINALS[name]
    seen = b""

    def person() -> None:
        nonlocal seen
        while not seen.endswith(QUESTION):
            seen += os.read(terminal[0], 4096)
        os.write(terminal[0], answer)

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    found = screens.screen(terminal[1], environment)
    thread.join(LIMIT)
    assert found == expected
    assert not select.select([terminal[0]], [], [], 0)[0], "the answer is not echoed"


def test_a_terminal_that_says_nothing_is_not_waited_for_long(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "SECONDS", 0.05)
    assert screens.screen(terminal[1], {"TERM": "xterm"}).way == "blocks"


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {}, {"TERM": "linux"}, {"TERM": "xterm", "INSIDE_EMACS": "30"}]
)
def test_who_would_print_the_question_is_not_asked(terminal: tuple[int, int], environment: dict[str, str]) -> None:
    assert screens.screen(terminal[1], environment).way == "blocks"
    assert not select.select([terminal[0]], [], [], 0)[0]


# --- how pictures are written --------------------------------------------------------------------------------------


def scene(width: int = 61, height: int = 47) -> Image.Image:
    picture = Image.new("RGB", (width, height), (20, 40, 200))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((5, 5, 40, 40), fill=(250, 120, 0))
    draw.rectangle((30, 20, 60, 46), fill=(0, 180, 90))
    return picture


def unsixel(text: str) -> Image.Image:
    """By chapter 14 of the VT330/VT340 programmer reference, vt100.net."""
    head = re.match(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)', text)
    assert head is not None
    assert text.endswith("\x1b\\")
    width, height = int(head[1]), int(head[2])
    picture = np.zeros((height + 6, width, 3), dtype=np.uint8)
    colours: dict[int, tuple[int, ...]] = {}
    x, top, colour = 0, 0, -1
    body = text[head.end() : -2]
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", body):
        if token[1]:
            colours[int(token[1])] = tuple(round(int(value) * 255 / 100) for value in token.groups()[1:4])
        elif token[5]:
            colour = int(token[5])
        elif token[9]:
            x, top = 0, top + (6 if token[9] == "-" else 0)
        else:
            count, bits = int(token[6] or 1), ord(token[7] or token[8]) - 63
            for row in range(6):
                if bits >> row & 1:
                    picture[top + row, x : x + count] = colours[colour]
            x += count
            assert x <= width
    assert "".join(token[0] for token in re.finditer(r"#\d+(?:;\d+)*|!\d+[?-~]|[?-~]|[$-]", body)) == body
    return Image.fromarray(picture[:height])


def test_sixel_holds_the_picture() -> None:
    """Also read by libsixel's sixel2png, by hand, when this was written: at most 1 of 255 apart."""
    picture = scene()
    shown = np.asarray(unsixel(drawing.sixel(picture)), dtype=int)
    assert np.abs(shown - np.asarray(picture, dtype=int)).max() <= 2, "sixel counts colours in percent"


def test_sixel_of_many_colours_is_near() -> None:
    ramp = Image.merge(
        "RGB", [Image.linear_gradient("L"), Image.linear_gradient("L").rotate(90), Image.new("L", (256, 256), 90)]
    )
    shown = np.asarray(unsixel(drawing.sixel(ramp)), dtype=int)
    assert np.abs(shown - np.asarray(ramp, dtype=int)).mean() < 8


def test_half_blocks_hold_two_pixels_each() -> None:
    picture = scene(40, 20)
    lines, line = [], []
    for segment in drawing.half_blocks(picture, 40, 40):
        if segment == Segment.line():
            lines.append(line)
            line = []
        else:
            assert segment.text == "▀"
            assert segment.style is not None
            line.append(segment.style)
    width, height = len(lines[0]), 2 * len(lines)
    assert (width, height) == (40, 20)
    shown = np.array([[[tuple(s.color.triplet), tuple(s.bgcolor.triplet)] for s in line] for line in lines])  # type: ignore[union-attr]
    assert (shown.transpose(0, 2, 1, 3).reshape(20, 40, 3) == np.asarray(picture)).all()


def test_iterm2_gets_a_png_and_its_cells() -> None:
    text = drawing.iterm2(scene(), 7, 3)
    found = re.fullmatch(
        r"\x1b\]1337;File=inline=1;size=(\d+);width=7;height=3;preserveAspectRatio=1:([\w+/=]+)\x07", text
    )
    assert found is not None
    png = base64.b64decode(found[2])
    assert len(png) == int(found[1])
    assert (np.asarray(Image.open(io.BytesIO(png))) == np.asarray(scene())).all()


@pytest.mark.parametrize(
    ("size", "columns", "rows", "expected"),
    [
        ((512, 512), 200, 60, (48, 24)),  # 24 rows of 20 pixels, columns of 10
        ((100, 50), 200, 60, (20, 5)),  # twice its own size
        ((2048, 512), 40, 60, (40, 5)),  # as wide as the terminal
        ((1, 3000), 80, 24, (1, 22)),
    ],
)
def test_a_picture_fits_the_terminal(size: tuple[int, int], columns: int, rows: int, expected: tuple[int, int]) -> None:
    found = drawing.fit(Image.new("RGB", size), columns, rows, (10, 20))
    assert found[:2] == expected
    assert found[2].width <= found[0] * 10
    assert found[2].height <= found[1] * 20


def test_transparent_pictures_stand_on_white() -> None:
    target = io.BytesIO()
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(target, "PNG")
    assert images.pixels(target.getvalue()).getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(images.NotAnImage):
        images.pixels(target.getvalue()[:50])


def test_standing_by_hand() -> None:
    rows = [dict.fromkeys(COLUMNS, "") | {"mos_quality": mos} for mos in ("1", "2", "2", "", "5")]
    scores = scores_of(rows, {})["quality"]
    found = [standing(scores, place) for place in range(5)]
    assert [one.percentile if one else None for one in found] == [12.5, 50, 50, None, 87.5]
