"""Reading lists of images in any form, comparing two sides, near-identical pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from aigiqa_cli.errors import RefusedInput
from aigiqa_cli.partitions import Names, Partition, Side, audit, audit_sides, judge_family, part_named, read_listing
from aigiqa_cli.partitions.auditing import across, worst
from aigiqa_cli.partitions.near import BITS, NEAR, difference_hash, pairs

Row = dict[str, str]
NAMES = ("AttnGAN_normal_000.jpg", "sd1.5_normal_001.jpg", "xl2.2_normal_002.jpg", "sd1.5_normal_002.jpg")


def row(image_id: str, **fields: str) -> Row:
    empty = dict.fromkeys(("prompt", "prompt_id", "generator", "reference_path", "image_path", "sha256", "extra"), "")
    return {"database": "somewhere", "image_id": image_id, "task": "t2i"} | empty | fields


def numbered(number: int) -> Row:
    """As AIGCIQA2023 has them: a number, and two other published names."""
    model, file = ("Controlnet", "Lafite")[number // 4], f"{number % 4:03}-1.png"
    return row(f"{number}.png", extra=json.dumps({"aliases": [f"{model}/{file}", f"{model}{file}"]}))


@pytest.fixture(scope="module")
def names() -> Names:
    return Names(row(name) for name in NAMES)


@pytest.fixture(scope="module")
def aliased() -> Names:
    return Names(numbered(number) for number in range(8))


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AttnGAN_normal_000.jpg", ("AttnGAN_normal_000.jpg", True)),
        ("agi-cgi/AttnGAN_normal_000.jpg", ("AttnGAN_normal_000.jpg", True)),
        ("/data/a b/all/sd1.5_normal_001.jpg", ("sd1.5_normal_001.jpg", True)),
        ("images\\sd1.5_normal_001.jpg", ("sd1.5_normal_001.jpg", True)),
        (" xl2.2_normal_002.jpg ", ("xl2.2_normal_002.jpg", True)),
        ("sd1.5_normal_001", ("sd1.5_normal_001.jpg", False)),
        ("SD1.5_NORMAL_001.PNG", ("sd1.5_normal_001.jpg", False)),
        ("sd1.5_normal_001.jpg.png", None),
        ("sd1", None),
        ("normal_001.jpg", None),
        ("", None),
        ("somewhere/", None),
    ],
)
def test_a_name_in_any_scheme(names: Names, text: str, found: tuple[str, bool] | None) -> None:
    assert names.find(text) == found


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("0.png", "0.png"), ("Image/allimg/3.png", "3.png"), ("Lafite/000-1.png", "4.png"), ("Lafite000-1.png", "4.png"),
        ("x\\Controlnet\\001-1.png", "1.png"), ("lafite/003-1", "7.png"), ("5", "5.png"),
    ],
)  # fmt: skip
def test_aliases_are_names_too(aliased: Names, text: str, image: str) -> None:
    found = aliased.find(text)
    assert found is not None
    assert found[0] == image
    assert aliased.find("000-1.png") is None, "a name that two images may mean names neither"


def test_a_name_without_extension_that_two_images_have() -> None:
    names = Names([row("a.png"), row("a.jpg"), row("b.png")])
    assert names.find("a") is None
    assert names.find("a.png") == ("a.png", True)
    assert names.find("a.webp") is None
    assert names.find("b.webp") == ("b.png", False)


# --- files -------------------------------------------------------------------------------------------------------

FORMS: dict[str, str] = {
    "names": "{0}\n{1}\n{2}\n",
    "names with folders": "all/{0}\r\nall/{1}\r\nall/{2}\r\n",
    "csv with a header": 'name,prompt,mos\n{0},"a, b",1\n{1},"x ""y""\nz",2\n{2},,3\n',
    "csv without one": "{0},a prompt,1\n{1},b,2\n{2},c,3\n",
    "the name in the last column": "index,mos,image\n0,1.5,{0}\n1,2.5,{1}\n2,3,{2}\n",
    "semicolons": "image;mos\n{0};1,5\n{1};2,5\n{2};3,5\n",
    "tabs": 'all/{0}\t1.5\ta "quoted prompt\nall/{1}\t2\tb, c\nall/{2}\t3\t"d\n',
    "blanks": "{0} 1.5\n{1}   2.5\n\n{2} 3\n",
    "with a byte order mark": "\ufeffname,mos\n{0},1\n{1},2\n{2},3\n",
    "a list of objects": '[{{"img_path": "x/{0}", "gt": 1.5}}, {{"img_path": "x/{1}", "c": [1]}}, {{"img_path": "{2}"}}]',
    "a list of names": '["{0}", "{1}", "{2}"]',
    "an object by name": '{{"{0}": 1.5, "{1}": 2, "{2}": 3}}',
    "an object of objects": '{{"{0}": {{"mos": 1}}, "{1}": {{"mos": 2}}, "{2}": {{}}}}',
    "an object a line": '{{"image": "{0}"}}\n{{"image": "{1}", "mos": 1}}\n\n{{"image": "{2}"}}\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_in_any_form(names: Names, form: str) -> None:
    found = read_listing("list", FORMS[form].format(*NAMES).encode(), names)
    assert list(found.images) == list(NAMES[:3])
    assert (found.repeated, found.unknown, found.partitions) == (0, (), ())


def test_a_folder_and_a_file_in_two_columns(aliased: Names) -> None:
    text = 'model,image_name,mosz1,prompt\nLafite,000-1.png,2.04,"""A bicycle"""\nControlnet,003-1.png,1.9,x\n'
    found = read_listing("train.csv", text.encode(), aliased)
    assert list(found.images) == ["4.png", "3.png"]
    assert found.column == "model/image_name"


def test_a_column_of_true_names_wins_over_one_of_numbers(aliased: Names) -> None:
    text = '[{"id": 0, "img": "2.png"}, {"id": 1, "img": "3.png"}]'
    found = read_listing("x.json", text.encode(), aliased)
    assert (found.column, list(found.images)) == ("img", ["2.png", "3.png"])


def test_what_names_no_image_is_found_with_its_line(names: Names) -> None:
    text = f"name,mos\n{NAMES[0]},1\nnobody.jpg,2\n{NAMES[0]},3\n{NAMES[1]},4\n"
    found = read_listing("some/list.csv", text.encode(), names)
    assert list(found.images.items()) == [(NAMES[0], 2), (NAMES[1], 5)]
    assert found.repeated == 1
    (finding,) = found.unknown
    assert (finding.path, finding.found, finding.database) == ("some/list.csv:3", "nobody.jpg", "somewhere")


def test_a_first_row_that_is_called_like_a_picture_is_no_header(names: Names) -> None:
    found = read_listing("x.txt", f"mistyped.jpg\n{NAMES[0]}\n".encode(), names)
    assert [finding.path for finding in found.unknown] == ["x.txt:1"]


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"{", b"[]", b'{"a": ', b"\x89PNG\0\0", b'["x", 1\n'])
def test_what_is_no_list_of_images_is_refused(names: Names, data: bytes) -> None:
    with pytest.raises(RefusedInput) as caught:
        read_listing("bad.dat", data, names)
    assert "bad.dat" in caught.value.message


def test_columns_of_parts_are_splits(names: Names) -> None:
    text = (
        f"image_id,repeat-1,mos,repeat-2\n{NAMES[2]},test,1,\n{NAMES[0]},training,2,validation\n{NAMES[1]},val,3,dev\n"
    )
    first, second = read_listing("x.csv", text.encode(), names).partitions
    assert (first.name, first.sides) == (
        "repeat-1",
        {"train": (NAMES[0],), "val": (NAMES[1],), "test": (NAMES[2],)},
    )
    assert (second.name, second.counts) == ("repeat-2", {"val": 2})


def test_lists_by_part_are_a_split(names: Names) -> None:
    text = json.dumps({"train": [NAMES[0], NAMES[1]], "test": [NAMES[2], NAMES[0]]})
    (found,) = read_listing("x.json", text.encode(), names).partitions
    assert found.sides == {"train": (NAMES[0], NAMES[1]), "test": (NAMES[0], NAMES[2])}
    assert found.shared == (NAMES[0],)
    assert list(found.pairs) == [("train", "test")]


def test_words_for_parts() -> None:
    assert [part_named(word) for word in ("Train", "validation", "valid", "dev", "TEST", "testing", "fold 1", "")] == [
        "train", "val", "val", "val", "test", "test", "", "",
    ]  # fmt: skip


# --- comparing ---------------------------------------------------------------------------------------------------


def side(name: str, *rows: Row, references: dict[str, str] | None = None) -> Side:
    return Side(name, rows, references or {})


def test_every_kind_is_counted_by_key_and_by_image() -> None:
    a = side(
        "train",
        row("1", prompt_id="p", generator="g", sha256="x"),
        row("2", prompt_id="p", generator="g", sha256="y"),
        row("3", prompt_id="q", generator="h", sha256="z"),
    )
    b = side(
        "test",
        row("3", prompt_id="q", generator="g", sha256="z"),
        row("4", prompt_id="p", prompt="in words", generator="g", sha256="x"),
        row("5", prompt_id="p", generator="i", sha256="w"),
        row("6", prompt_id="", generator="", sha256="v"),
    )
    found = audit_sides("s", [a, b])
    (pair,) = found.pairs
    numbers = {
        kind: (o.shared, o.rows_a, o.percent_a, o.rows_b, o.percent_b) for kind, o in pair.overlap.items() if o.shared
    }
    third = pytest.approx(100 / 3)
    assert numbers == {
        "image": (1, 1, third, 1, 25.0),
        "bytes": (2, 2, pytest.approx(200 / 3), 2, 50.0),
        "prompt": (2, 3, 100.0, 3, 75.0),
        "generator": (1, 2, pytest.approx(200 / 3), 2, 50.0),
    }
    assert (pair.overlap["prompt"].known_b, pair.overlap["reference"].shared) == (3, 0)
    assert pair.overlap["prompt"].examples[1] == ("in words", "1", "4")
    assert pair.overlap["near"].why == "not asked for"
    assert found.verdict.label == "leaky"
    assert found.verdict.text == (
        "leaky: 25.0 % of test images are also in train; 50.0 % of test images have the same bytes as an image in train; "
        "75.0 % of test images share a prompt with train"
    )


def test_an_empty_prompt_is_shared_with_nobody() -> None:
    found = audit_sides("s", [side("train", row("1"), row("2", prompt_id="p")), side("test", row("3"), row("4"))])
    assert found.pairs[0].overlap["prompt"].why == "no prompt is known"
    assert found.verdict.label == "unknown", "what is not known is not clean"
    found = audit_sides("s", [side("train", row("1"), row("2", prompt_id="p")), side("test", row("3", prompt_id="q"))])
    assert found.verdict.text == "clean: no image, prompt or reference is on both sides"


def test_references_are_compared_by_their_bytes() -> None:
    def i2i(name: str, path: str) -> Row:
        return row(name, task="i2i", reference_path=path, prompt_id=name)

    a, b = i2i("1", "x/references/0.jpg"), i2i("2", "y/references/9.jpg")
    same = {"x/references/0.jpg": "abc", "y/references/9.jpg": "abc"}
    one = audit_sides("s", [side("train", a, references=same), side("test", b, references=same)])
    assert one.verdict.text == "leaky: 100 % of test images share a reference with train"
    other = same | {"y/references/9.jpg": "abd"}
    two = audit_sides("s", [side("train", a, references=other), side("test", b, references=other)])
    assert two.verdict.label == "clean"
    mixed = audit_sides("s", [side("train", i2i("1", "")), side("test", row("2", prompt_id="q"))])
    assert mixed.pairs[0].overlap["reference"].shared is None
    assert mixed.verdict.text == "clean: no image or prompt is on both sides"


@pytest.mark.parametrize(
    ("touched", "of", "words"),
    [
        (0, 2000, "0 %"),
        (1, 2000, "< 0.1 %"),
        (1999, 2000, "> 99.9 %"),
        (2, 2000, "0.1 %"),
        (2000, 2000, "100 %"),
        (83, 2000, "4.2 %"),
    ],
)
def test_rounding_never_says_all_or_nothing(touched: int, of: int, words: str) -> None:
    from aigiqa_cli.partitions import percent_in_words

    test = [row(str(n), prompt_id="p" if n < touched else f"q{n}") for n in range(of)]
    found = audit_sides("s", [side("train", row("t", prompt_id="p")), side("test", *test)])
    assert percent_in_words(found.pairs[0].overlap["prompt"]) == words
    assert found.verdict.label == ("leaky" if touched else "clean")


def test_three_sides_are_three_pairs_and_folds_have_one_verdict() -> None:
    rows = {r["image_id"]: r for r in (row(str(n), prompt_id=f"p{n % 3}") for n in range(6))}
    good = Partition.of("good-1", [("0", "train"), ("3", "train"), ("1", "val"), ("2", "test"), ("5", "test")])
    bad = Partition.of("good-2", [("0", "train"), ("1", "train"), ("3", "val"), ("4", "test"), ("5", "test")])
    first, second = audit(good, rows, {}), audit(bad, rows, {})
    assert [(pair.a, pair.b) for pair in first.pairs] == [("train", "val"), ("train", "test"), ("val", "test")]
    assert first.counts == {"train": 2, "val": 1, "test": 2}
    assert first.main is first.pairs[1]
    assert first.verdict.label == "clean"
    assert second.verdict.text == "leaky: 50.0 % of test images share a prompt with train (val: 100 %)"
    both = judge_family([first, second])
    assert both.text.startswith("leaky: 1 of 2 folds; in good-2 50.0 % of test images")
    assert judge_family([first, first]).label == "clean"
    assert worst([first, second])["prompt"][0] == "good-2"
    alone = audit(Partition.of("x", [("0", "test")]), rows, {})
    assert alone.verdict.text == "unknown: it has one side only"


def test_other_databases_are_compared_across_only() -> None:
    a, b = row("1", prompt_id="p"), row("2", prompt_id="p")
    found = across("s", [side("train", a), side("test", b)], [side("elsewhere", row("9", prompt_id="p"))])
    assert [(pair.a, pair.b) for pair in found.pairs] == [("train", "elsewhere"), ("test", "elsewhere")]
    assert found.counts == {"train": 1, "test": 1, "elsewhere": 1}


# --- near-identical pictures -------------------------------------------------------------------------------------


def picture(seed: int) -> Image.Image:
    import random

    chance = random.Random(seed)
    image = Image.new("RGB", (256, 256), tuple(chance.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, size = chance.randrange(256), chance.randrange(256), chance.randrange(10, 90)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=tuple(chance.randrange(256) for _ in range(3)))
    return image


def stored(image: Image.Image, folder: Path, name: str, **options: object) -> int:
    image.save(folder / name, **options)
    value = difference_hash(folder / name)
    assert value is not None
    return value


def differing(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_copies_are_near_and_others_are_not(tmp_path: Path) -> None:
    originals = {n: stored(picture(n), tmp_path, f"{n}.png") for n in range(12)}
    for number, value in originals.items():
        image = picture(number)
        copies = [
            stored(image, tmp_path, "q75.jpg", quality=75),
            stored(image.resize((128, 128), Image.Resampling.BICUBIC), tmp_path, "half.png"),
            stored(ImageEnhance.Contrast(image).enhance(0.9), tmp_path, "pale.png"),
            stored(image.convert("RGBA"), tmp_path, "alpha.webp", lossless=True),
        ]
        assert all(differing(value, copy) <= NEAR for copy in copies)
        assert all(differing(value, other) > 2 * NEAR for n, other in originals.items() if n != number)


def test_real_pictures(shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data/real-images").glob("*/*.*"))
    hashes = [value for file in files if (value := difference_hash(file)) is not None]
    assert len(hashes) == len(files) == 24
    assert min(differing(a, b) for n, a in enumerate(hashes) for b in hashes[n + 1 :]) > 5 * NEAR
    for file, value in zip(files, hashes, strict=True):
        with Image.open(file) as image:
            assert differing(value, stored(image.convert("RGB"), tmp_path, "q.jpg", quality=40)) <= NEAR


def test_pairs_are_all_within_the_distance() -> None:
    """Against comparing everything with everything."""
    import random

    chance = random.Random(1)
    a = {f"a{n}": chance.getrandbits(BITS) for n in range(60)}
    b = {
        f"b{n}": value ^ sum(1 << bit for bit in chance.sample(range(BITS), chance.randrange(12)))
        for n, value in enumerate(a.values())
    }
    expected = {(x, y, d) for x, v in a.items() for y, w in b.items() if (d := differing(v, w)) <= NEAR}
    assert 10 < len(expected) < 60
    assert set(pairs(a, b)) == expected
    assert [each[1] for each in pairs(a, b)] == [y for y in b if any(y == e[1] for e in expected)]


def test_what_is_no_image_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert difference_hash(tmp_path / "x.png") is None
    assert difference_hash(tmp_path / "none.png") is None
    whole = io.BytesIO()
    picture(1).save(whole, "PNG")
    (tmp_path / "half.png").write_bytes(whole.getvalue()[:2000])
    assert difference_hash(tmp_path / "half.png") is None
