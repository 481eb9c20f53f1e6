"""The synthetic database: pictures that a program painted and damaged, and scores that it computed.

No model generated these pictures and no person rated them. Four invented generators paint ten prompts each
and edit four references. Each has its own kind of damage; the level of damage sets the quality, and whether
the colour word of the prompt was obeyed sets the alignment. The files have the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import shake_256

from aigiqa_cli.errors import UsageFault

COLUMNS = (  # of synthetic.csv
    *("name", "prompt", "reference", "category"),
    *("mos_quality", "std_quality", "mos_alignment", "std_alignment"),
)
_COMMENT = "Synthetic picture computed by aigiqa. No model generated it, no person rated it."


@dataclass(frozen=True)
class Generator:
    """An invented generator. `ignores` are the prompts whose colour word it does not obey."""

    name: str
    damage: str
    level: int
    lowstep: int
    ignores: tuple[int, ...]


@dataclass(frozen=True)
class Prompt:
    text: str
    category: str
    scene: str
    accent: str
    other: str = ""  # the colour or tone of those who ignore the prompt
    tone: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Picture:
    """One generated picture. `level` is 0 (undamaged) to 8."""

    name: str
    prompt: Prompt
    generator: Generator
    level: int
    obeys: bool


GENERATORS = (
    Generator("atlas", "blur", 0, 0, ()),
    Generator("birch", "bands", 1, 4, (3, 12)),
    Generator("cedar", "blocks", 2, 2, (1, 6, 11)),
    Generator("delta", "noise", 3, 9, (0, 4, 7, 8, 10, 13)),
)
PROMPTS = (
    Prompt("green hills under a clear summer sky", "landscape", "hills", "green", "violet"),
    Prompt("a red sun setting behind a calm sea", "landscape", "sea", "red", "teal"),
    Prompt("a yellow moon above snow-capped mountains", "night", "moon", "yellow", "red"),
    Prompt("golden dunes in the desert at noon", "landscape", "dunes", "golden", "blue"),
    Prompt('a red ball on a floor, chequered like a "chess board"', "object", "ball", "red", "blue"),
    Prompt("green fir trees in the morning mist", "landscape", "firs", "green", "orange"),
    Prompt("a city at dusk with yellow windows", "city", "skyline", "yellow", "teal"),
    Prompt("a green aurora over fields of snow", "night", "aurora", "green", "violet"),
    Prompt("three orange balloons above gentle hills", "object", "balloons", "orange", "teal"),
    Prompt("a café with a blue awning", "city", "cafe", "blue", "green"),
    Prompt("the same balloons on a blue night", "edit", "balloons", "red", "", "night", "reference_00.png"),
    Prompt("the same dunes in violet light", "edit", "dunes", "golden", "", "violet", "reference_01.png"),
    Prompt("the same forest on a white winter day", "edit", "firs", "teal", "", "winter", "reference_02.png"),
    Prompt("the same café at an orange sunset", "edit", "cafe", "red", "", "sunset", "reference_03.png"),
)


def stream(name: str) -> Iterator[bytes]:
    """The bytes of a published file, in blocks."""
    if name not in FILES:
        raise UsageFault(f"there is no synthetic file {name!r}", hint=f"there are {', '.join(FILES)}")
    return FILES[name]()


def pictures() -> tuple[Picture, ...]:
    """Every generated picture in the order of the label table: text-to-image first, then image-to-image."""
    drawn = [_picture(maker, number) for maker in GENERATORS for number in _numbers(maker, edits=False)]
    edited = [_picture(maker, number) for maker in GENERATORS for number in _numbers(maker, edits=True)]
    return (*drawn, *edited)


def _numbers(maker: Generator, *, edits: bool) -> list[tuple[str, int]]:
    numbers = [number for number, prompt in enumerate(PROMPTS) if bool(prompt.reference) is edits]
    if edits:
        return [("edit", number) for number in numbers]
    return [*(("normal", number) for number in numbers), ("lowstep", maker.lowstep)]


def _picture(maker: Generator, task: tuple[str, int]) -> Picture:
    setting, number = task
    level = maker.level + _draw(f"{maker.name} {number}", 3) + (3 if setting == "lowstep" else 0)
    name = f"{maker.name}_{setting}_{number:03}.png"
    return Picture(name, PROMPTS[number], maker, level, number not in maker.ignores)


def pixels(picture: Picture) -> bytes:
    """The rows of a generated picture."""
    from aigiqa_cli.synthetic.damages import DAMAGES, crop, toned
    from aigiqa_cli.synthetic.scenes import paint

    prompt = picture.prompt
    if prompt.reference:
        plain = paint(prompt.scene, prompt.accent, prompt.reference)
        painted = toned(plain, prompt.tone if picture.obeys else prompt.other)
    else:
        accent = prompt.accent if picture.obeys else prompt.other
        painted = paint(prompt.scene, accent, f"{prompt.scene} by {picture.generator.name}")
    return crop(DAMAGES[picture.generator.damage](painted, picture.level) if picture.level else painted)


def scores(picture: Picture) -> tuple[int, int, int, int]:
    """Quality, its deviation, alignment, its deviation, in ten-thousandths of a point on the scale 0 to 5.

    One level of damage costs 0.47 in quality and 0.1 in alignment, a disobeyed colour word 2.2 in alignment;
    a draw of up to 0.15 either way, fixed by the name, keeps pictures of one level apart."""
    quality = 45500 - 4700 * picture.level + _draw(f"{picture.name} quality", 3001) - 1500
    alignment = 44000 - 1000 * picture.level + _draw(f"{picture.name} alignment", 3001) - 1500
    if not picture.obeys:
        alignment -= 22000
    return quality, _deviation(quality, picture.name), alignment, _deviation(alignment, picture.name[::-1])


def _deviation(score: int, key: str) -> int:
    """Wider in the middle of the scale than at its ends, as ratings of people are."""
    return 4000 + score * (50000 - score) // 100000 + _draw(f"{key} deviation", 1500)


def _draw(key: str, sides: int) -> int:
    return int.from_bytes(shake_256(key.encode()).digest(8), "big") % sides


def _archive() -> Iterator[bytes]:
    from aigiqa_cli.synthetic.canvas import WIDTH
    from aigiqa_cli.synthetic.damages import crop
    from aigiqa_cli.synthetic.files import png, zip_stored
    from aigiqa_cli.synthetic.scenes import paint

    def members() -> Iterator[tuple[str, bytes]]:
        for prompt in (prompt for prompt in PROMPTS if prompt.reference):
            plain = crop(paint(prompt.scene, prompt.accent, prompt.reference))
            yield f"synthetic/references/{prompt.reference}", png(plain, WIDTH, _COMMENT)
        for picture in pictures():
            yield f"synthetic/images/{picture.name}", png(pixels(picture), WIDTH, _COMMENT)

    return zip_stored(members())


def _labels() -> Iterator[bytes]:
    import csv
    from io import StringIO

    table = StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for picture in pictures():
        prompt = picture.prompt
        numbers = (f"{score // 10000}.{score % 10000:04}" for score in scores(picture))
        writer.writerow((picture.name, prompt.text, prompt.reference, prompt.category, *numbers))
    yield table.getvalue().encode()


FILES: dict[str, Callable[[], Iterator[bytes]]] = {"synthetic.zip": _archive, "synthetic.csv": _labels}
