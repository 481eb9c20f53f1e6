"""The gallery as a file: what stands in it, what it is told, where its pictures are, and the command."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import Command
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aigiqa_cli import gallery
from aigiqa_cli.errors import Finding
from aigiqa_cli.gallery import About, Embedded, Linked, Model, Setup, linked, write
from aigiqa_cli.gallery.columns import Columns
from aigiqa_cli.gallery.pictures import CHUNK, small
from aigiqa_cli.gallery.predicted import judged
from aigiqa_cli.gallery.scales import scale_of, values
from aigiqa_cli.images import NotAnImage
from aigiqa_cli.index import COLUMNS

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]></style><svg/onload=alert(1)>",
    "&lt;b&gt; &amp; \u2028\u2029 \x00 \x1b[31m \r\n\t",
    "<!-- data --><!-- script -->",
    "${alert(1)} `x` \\u003c '\"",
)


def row(number: int = 0, **fields: str) -> dict[str, str]:
    base = {
        "database": "someset",
        "image_id": f"img_{number}.png",
        "image_path": f"someset/images/img_{number}.png",
        "task": "t2i",
        "prompt": f"prompt {number % 3}",
        "generator": ("glide", "dall-e-2")[number % 2],
    }
    return dict.fromkeys(COLUMNS, "") | base | fields


def scored(number: int, mos: str, score: str, **fields: str) -> dict[str, str]:
    return row(number, mos_quality=mos, score_quality=score, **fields)


class Reader(HTMLParser):
    """Elements as an HTML parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self.inside] = self.texts.get(self.inside, "") + data

    def data(self, name: str) -> object:
        return json.loads(self.texts[name])


def page_of(rows: list[dict[str, str]], **told: object) -> str:
    target = io.BytesIO()
    setup = Setup(**({"title": "T", "databases": [About("someset")], "pictures": Linked("root/")} | told))  # type: ignore[arg-type]
    assert write(iter(rows), setup, target).images == len(rows)
    return target.getvalue().decode()


def unpacked(packed: object, count: int) -> list[str]:
    """The three forms of a column, read as the docstring of the room says."""
    if isinstance(packed, list):
        return packed
    assert isinstance(packed, dict)
    return [packed["all"]] * count if "all" in packed else [packed["words"][at] for at in packed["at"]]


def columns_of(text: str) -> dict[str, list[str]]:
    reader = Reader(text)
    first, later = reader.data("data"), reader.data("later")
    assert isinstance(first, dict)
    assert isinstance(later, dict)
    return {name: unpacked(packed, first["images"]) for name, packed in (first["columns"] | later).items()}


# --- what stands in the page ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_the_page_holds_every_field_of_every_row(count: int) -> None:
    rows = [
        row(number, **{name: f"{name} {number // 2}" for name in COLUMNS[10:11] + COLUMNS[24:]})
        for number in range(count)
    ]
    found = columns_of(page_of(rows))
    assert set(found) == set(COLUMNS)
    assert [{name: found[name][at] for name in COLUMNS} for at in range(count)] == rows


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HOSTILE), min_size=1, max_size=6))
def test_no_text_is_taken_for_markup(texts: list[str]) -> None:
    rows = [row(number, prompt=text, generator=text, extra=text, image_id=text) for number, text in enumerate(texts)]
    reader = Reader(page_of(rows, title=texts[0]))
    plain = Reader(page_of([row()]))
    assert [tag for tag, _ in reader.elements] == [tag for tag, _ in plain.elements]
    found = columns_of(page_of(rows))
    assert found["prompt"] == found["extra"] == texts


@pytest.mark.parametrize("title", HOSTILE)
def test_a_title_is_text(title: str) -> None:
    texts = Reader(page_of([row()], title=title)).texts
    assert texts["h1"] == texts["title"] == title


def test_the_page_runs_its_own_script_and_asks_for_nothing() -> None:
    text = page_of([row()])
    reader = Reader(text)
    policy = next(a["content"] for tag, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in str(policy).split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "'self' file:"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
    outward = [
        (tag, name)
        for tag, attributes in reader.elements
        for name in attributes
        if name in ("src", "href", "srcset", "style", "action")
    ]
    assert outward == []
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = [row(number) for number in range(5)]
    assert page_of(rows) == page_of(rows)


# --- scales -----------------------------------------------------------------------------------------------


def test_one_published_scale_is_shown_as_published() -> None:
    columns = Columns(
        [
            scored(0, "1.25", "0.250000"),
            scored(1, "5", "1.000000"),
            row(2),
            scored(3, "2.3333", "0.466660", database="other"),
            scored(4, "0", "0.000000", database="other"),
        ]
    )
    scale = scale_of(columns, "quality")
    assert scale.published
    assert values(columns, "quality", scale) == [1.25, 5.0, None, 2.3333, 0.0]


def test_different_scales_are_shown_on_0_to_1_with_their_factors() -> None:
    """0..5 has the factor 1/5, 0..100 has 1/100."""
    columns = Columns(
        [
            scored(0, "1", "0.2"),
            scored(1, "4", "0.8"),
            scored(2, "10", "0.1", database="b"),
            scored(3, "90", "0.9", database="b"),
        ]
    )
    scale = scale_of(columns, "quality")
    assert not scale.published
    assert scale.factors == {"someset": pytest.approx(0.2), "b": pytest.approx(0.01)}
    assert values(columns, "quality", scale) == [0.2, 0.8, 0.1, 0.9]


def test_scales_that_differ_in_their_origin_alone_are_different() -> None:
    columns = Columns(
        [
            scored(0, "1", "0.2"),
            scored(1, "4", "0.8"),
            scored(2, "1", "0.0", database="b"),
            scored(3, "4", "0.6", database="b"),
        ]
    )
    assert not scale_of(columns, "quality").published


def test_two_maps_in_one_database_are_no_published_scale() -> None:
    columns = Columns([scored(0, "1", "0.2"), scored(1, "4", "0.8"), scored(2, "50", "0.5")])
    scale = scale_of(columns, "quality")
    assert (scale.published, scale.factors) == (False, {"someset": None})


@pytest.mark.parametrize("rows", [[scored(0, "3", "0.6")], [scored(0, "3", "0.6"), scored(1, "3", "0.6")]])
def test_one_score_is_shown_as_published(rows: list[dict[str, str]]) -> None:
    assert scale_of(Columns(rows), "quality").published


# --- predictions ------------------------------------------------------------------------------------------

IMAGES = [f"img_{number}" for number in range(6)]


def test_predictions_on_another_scale_are_moved_onto_that_of_the_scores() -> None:
    """Predictions that are a straight map of the scores have no error, whatever their scale; falling ones likewise."""
    scores = [1.0, 2.0, 2.5, 3.0, 4.5, None]
    for slope in (10, -7):
        model = Model("m", {image: slope * (score or 2.75) + 3 for image, score in zip(IMAGES, scores, strict=True)})
        found = judged(model, IMAGES, {"quality": scores})
        assert (found["missing"], found["by"]["quality"]["map"], found["by"]["quality"]["n"]) == (0, "logistic", 5)
        assert found["by"]["quality"]["moved"] == pytest.approx([1, 2, 2.5, 3, 4.5, 2.75], abs=1e-3)


def test_without_a_fit_predictions_are_z_scored() -> None:
    """Predictions 1, 2, 3 (mean 2, sd sqrt(2/3)) onto scores 10, 10, 40 (mean 20, sd sqrt(200)): 20 -+ sqrt(300)."""
    found = judged(Model("m", {"img_0": 1, "img_1": 2, "img_3": 3}), IMAGES[:4], {"quality": [10, 10, 10, 40]})
    one = found["by"]["quality"]
    assert (one["map"], one["n"], found["missing"]) == ("z", 3, 1)
    assert "5" in one["why"]
    assert one["moved"] == [
        pytest.approx(20 - 300**0.5, abs=1e-3),
        pytest.approx(20),
        None,
        pytest.approx(20 + 300**0.5, abs=1e-3),
    ]


@pytest.mark.parametrize("scores", [[3.0, None, None], [None, None, None], [2.0, 3.0, 4.0]])
def test_what_cannot_be_compared_says_why(scores: list[float | None]) -> None:
    found = judged(Model("m", dict.fromkeys(IMAGES[:3], 1.5)), IMAGES[:3], {"quality": scores})
    one = found["by"]["quality"]
    assert (one["map"], one["moved"]) == ("none", [None, None, None])
    assert one["why"]
    assert found["raw"] == [1.5, 1.5, 1.5]


# --- pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "prefix"),
    [
        ("gallery.html", "data%20%231/r%25/"),
        ("data #1/r%/gallery.html", ""),
        ("data #1/r%/deep/er/gallery.html", "../../"),
        ("data #1/gallery.html", "r%25/"),
        ("else/gallery.html", "../data%20%231/r%25/"),
    ],
)
def test_the_way_to_the_images_is_relative_and_encoded(tmp_path: Path, page: str, prefix: str) -> None:
    assert linked(tmp_path / page, tmp_path / "data #1" / "r%").prefix == prefix


def test_the_way_through_links_is_the_one_that_was_named_but_for_what_lies_below_the_page(tmp_path: Path) -> None:
    (tmp_path / "disk" / "root").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "root").symlink_to(tmp_path / "disk" / "root")
    assert linked(tmp_path / "disk" / "page.html", tmp_path / "home" / "root").prefix == "root/"
    assert linked(tmp_path / "page.html", tmp_path / "home" / "root").prefix == "disk/root/"
    assert linked(tmp_path / "home" / "sub" / "page.html", tmp_path / "home" / "root").prefix == "../root/"


def encoded(image: Image.Image, form: str = "PNG", **more: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **more)
    return target.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (64, 32)), ((30, 300), (6, 64)), ((20, 10), (20, 10)), ((64, 64), (64, 64))]
)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP"])
def test_small_copies_fit_and_are_never_enlarged(size: tuple[int, int], expected: tuple[int, int], form: str) -> None:
    assert opened(small(encoded(Image.new("RGB", size, "teal"), form), 64)).size == expected


def test_small_copies_are_upright() -> None:
    """EXIF orientation 6 is to be turned by a quarter, as browsers do with the file itself."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert opened(small(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif), 64)).size == (20, 40)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (8, 8), 200), (200, 200, 200, 255)),
        (Image.new("I;16", (8, 8), 200 * 257), (200, 200, 200, 255)),
        (Image.new("RGBA", (8, 8), (200, 0, 0, 0)), None),
        (Image.new("1", (8, 8), 1), (255, 255, 255, 255)),
        (Image.new("P", (8, 8), 0), (0, 0, 0, 255)),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_small_copies_keep_colour_and_transparency(image: Image.Image, expected: tuple[int, ...] | None) -> None:
    found = opened(small(encoded(image), 64)).convert("RGBA").getpixel((4, 4))
    assert isinstance(found, tuple)
    if expected is None:
        assert found[3] == 0
    else:
        assert all(abs(a - b) <= 2 for a, b in zip(found, expected, strict=True))


def test_what_is_no_image_or_moves_or_is_cut_off_is_refused() -> None:
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    moving = encoded(noise, "WEBP", save_all=True, append_images=[noise.rotate(90)])
    for data in (b"", b"<html>", encoded(noise)[:4000], moving):
        with pytest.raises(NotAnImage):
            small(data, 64)


@pytest.fixture
def album(tmp_path: Path) -> tuple[list[dict[str, str]], Embedded]:
    """More images than are held at once, one of them with a reference; one row without an image."""
    rows, digests = [], {}
    for number in range(CHUNK + 3):
        data = encoded(Image.new("RGB", (20, 10), (number, 99, 7)))
        path = f"someset/images/img_{number}.png"
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
        digests[path] = hashlib.sha256(data).hexdigest()
        rows.append(row(number))
    rows[1]["reference_path"] = rows[0]["image_path"]
    rows[2]["image_path"] = ""
    return rows, Embedded(tmp_path, 64, digests)


def copies_in(text: str) -> list[str]:
    reader = Reader(text)
    found = []
    for number in range(2):
        (block,) = [attributes for _, attributes in reader.elements if attributes.get("id") == f"copies-{number}"]
        ends = [0, *map(int, str(block["data-ends"]).split(","))]
        found += [reader.texts[f"copies-{number}"][start:end] for start, end in pairwise(ends)]
    return found


def test_copies_stand_in_the_page_in_order_and_references_after_them(
    album: tuple[list[dict[str, str]], Embedded],
) -> None:
    rows, source = album
    text = page_of(rows, pictures=source)
    found = copies_in(text)
    assert len(found) == len(rows) + 1
    assert [number for number, copy in enumerate(found) if not copy] == [2]
    reds = [opened(base64.b64decode(copy)).convert("RGB").getpixel((5, 5))[0] for copy in found if copy]  # type: ignore[index]
    expected = [number for number in range(len(rows)) if number != 2] + [0]
    assert all(abs(red - number) <= 6 for red, number in zip(reds, expected, strict=True))
    assert "img-src data:;" in text
    assert page_of(rows, pictures=source) == text


def test_images_that_are_not_as_recorded_are_findings_and_the_page_is_whole(
    album: tuple[list[dict[str, str]], Embedded],
) -> None:
    rows, source = album
    folder = source.root / "someset" / "images"
    (folder / "img_3.png").write_bytes(encoded(Image.new("RGB", (20, 10), "red")))
    (folder / "img_4.png").unlink()
    (folder / "img_5.png").unlink()
    (folder / "img_5.png").symlink_to("img_6.png")
    cut = (folder / "img_6.png").read_bytes()[:-30]
    (folder / "img_6.png").write_bytes(cut)
    source.digests["someset/images/img_6.png"] = hashlib.sha256(cut).hexdigest()  # type: ignore[index]
    target = io.BytesIO()
    written = write(rows, Setup("T", [About("someset")], source), target)
    problems = {finding.path: finding.problem.split(":")[0] for finding in written.findings}
    assert problems == {
        "someset/images/img_3.png": "wrong checksum",
        "someset/images/img_4.png": "missing",
        "someset/images/img_5.png": "not a regular file",
        "someset/images/img_6.png": "cannot be decoded",
    }
    assert all(isinstance(finding, Finding) and finding.database == "someset" for finding in written.findings)
    assert written.shown == len(rows) + 1 - 1 - 4
    assert [n for n, copy in enumerate(copies_in(target.getvalue().decode())) if not copy] == [2, 3, 4, 5, 6]


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the synthetic database: 60 images, of which 16 have one of 4 references."""
    from aigiqa_cli.context import Context
    from aigiqa_cli.manifest.catalogue import Catalogue
    from aigiqa_cli.reporting import Silent
    from aigiqa_cli.steps.fetch import Request, fetch
    from aigiqa_cli.store import Root

    root = tmp_path_factory.mktemp("gallery") / "root"
    context = Context(Root(root), Catalogue({}), {}, Silent())
    fetch(context, context.catalogue.database("demo"), Request())
    return root


@pytest.fixture
def installed(run: Command, ready: Path) -> Command:
    shutil.copytree(ready, run.root)
    return run


def test_the_path_is_the_answer(installed: Command) -> None:
    done = installed("gallery", "demo", code=0)
    assert done.out == "gallery.html\n"
    assert "60 images" in done.err
    text = (installed.work / "gallery.html").read_text(encoding="utf-8")
    assert Reader(text).data("data")["pictures"] == {"prefix": "../root/"}  # type: ignore[index]
    with (installed.root / "demo" / "index.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = columns_of(text)
    assert [{name: found[name][at] for name in COLUMNS} for at in range(60)] == rows
    assert sorted(os.listdir(installed.work)) == ["gallery.html"]
    before = (installed.work / "gallery.html").read_bytes()
    assert installed("gallery", "-q", code=0).err == ""
    assert (installed.work / "gallery.html").read_bytes() == before


def test_rows_split_and_title_are_chosen(installed: Command) -> None:
    words = ("--where", "generator = 'synthetic-atlas'", "--split", "authors:test", "--title", "A <b> & c")
    done = installed("gallery", "demo", "-o", "one.html", *words, "--json", code=0).json()
    text = (installed.work / "one.html").read_text(encoding="utf-8")
    rows = columns_of(text)
    assert set(rows["generator"]) == {"synthetic-atlas"}
    assert set(rows["split"]) == {"test"}
    assert "<title>A &lt;b&gt; &amp; c</title>" in text
    assert done["data"] == {
        "path": str(installed.work / "one.html"), "images": len(rows["split"]), "bytes": len(text.encode()), "embedded": None, "databases": ["demo"],
    }  # fmt: skip


def test_a_page_without_images_says_so(installed: Command) -> None:
    done = installed("gallery", "demo", "--where", "mos_quality > 99", code=0)
    assert "nothing was selected" in done.err
    assert Reader((installed.work / "gallery.html").read_text(encoding="utf-8")).data("data")["images"] == 0  # type: ignore[index]


def test_a_page_inside_the_root_leaves_it_sound(installed: Command) -> None:
    installed("gallery", "demo", "-o", installed.root / "gallery.html", code=0)
    installed("verify", code=0)


def test_embedded_copies_and_a_damaged_image(installed: Command) -> None:
    done = installed("gallery", "demo", "--embed", "--size", "48", "--json", code=0).json()
    assert done["data"]["embedded"] == 64
    image = installed.root / "demo" / "images" / "atlas_normal_000.png"
    image.write_bytes(image.read_bytes()[:-1])
    failed = installed("gallery", "demo", "--embed", "-o", "b.html", "--json", code=4).json()
    assert (failed["status"], failed["data"]["embedded"], failed["error"]["kind"]) == ("error", 63, "integrity")
    assert [finding["path"] for finding in failed["findings"]] == ["demo/images/atlas_normal_000.png"]
    assert "verify --repair demo" in failed["error"]["hint"]
    assert (installed.work / "b.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_labels_alone_are_shown_and_said(run: Command) -> None:
    run("fetch", "demo", "--labels-only", code=0)
    done = run("gallery", code=0)
    assert "aigiqa fetch demo" in done.err
    data = Reader((run.work / "gallery.html").read_text(encoding="utf-8")).data("data")
    (about,) = data["databases"]  # type: ignore[index]
    assert (about["images"], about["synthetic"]) == (False, True)
    run("gallery", "--embed", "-o", "b.html", code=0)


def test_predictions_stand_in_the_page(installed: Command) -> None:
    table = installed(
        "export", "demo", "--columns", "image_id,mos_quality,generator", "--where", "row < 50", code=0
    ).out
    predictions = table.replace("mos_quality", "some model")
    (installed.work / "p.csv").write_text(predictions, encoding="utf-8")
    done = installed("gallery", "demo", "--predictions", "p.csv", code=0)
    assert "scores by 'some model'" in done.err
    text = (installed.work / "gallery.html").read_text(encoding="utf-8")
    (model,) = Reader(text).data("data")["models"]  # type: ignore[index]
    assert (model["name"], model["missing"], model["by"]["quality"]["n"]) == ("some model", 10, 50)
    mos = [float(line.split(",")[1]) for line in table.splitlines()[1:]]
    assert [x for x in model["raw"] if x is not None] == mos
    assert [x for x in model["by"]["quality"]["moved"] if x is not None] == pytest.approx(mos, abs=1e-3)
    again = installed("gallery", "demo", "--predictions", "-", "-o", "b.html", stdin=predictions, code=0)
    assert again.out == "b.html\n"
    assert (installed.work / "b.html").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--size", "99"],
        ["demo", "--embed", "--size", "8"],
        ["demo", "-o", "-"],
        ["demo", "-o", "no/such/folder.html"],
        ["demo", "-o", "."],
        ["demo", "--model", "m"],
        ["demo", "--where", "nonsense"],
        ["demo", "--split", "nonsense"],
        ["demo", "--predictions", "missing.csv"],
        ["agiqa3k"],
    ],
)
def test_usage_faults_leave_nothing(installed: Command, words: list[str]) -> None:
    error = installed("gallery", *words, "--json", code=2).json()["error"]
    assert error["hint"]
    assert os.listdir(installed.work) == []


def test_predictions_are_of_one_database(installed: Command, shared: Path) -> None:
    installed("import", "agiqa3k", shared / "data" / "agiqa3k" / "data.csv", code=0)
    (installed.work / "p.csv").write_text("name,m\nx,1\n", encoding="utf-8")
    error = installed("gallery", "--predictions", "p.csv", "--json", code=2).json()["error"]
    assert "one database" in error["message"]
    installed("gallery", code=0)
    data = Reader((installed.work / "gallery.html").read_text(encoding="utf-8")).data("data")
    assert data["images"] == 60 + 2982  # type: ignore[index]
    assert [one["images"] for one in data["databases"]] == [False, True]  # type: ignore[index]


def test_predictions_of_other_images_are_refused(installed: Command) -> None:
    (installed.work / "p.csv").write_text("name,m\nnobody.png,1\n", encoding="utf-8")
    installed("gallery", "demo", "--predictions", "p.csv", code=5)
    assert os.listdir(installed.work) == ["p.csv"]


def test_public_names() -> None:
    assert set(gallery.__all__) <= set(dir(gallery))
