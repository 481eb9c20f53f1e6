"""The gallery of 20,000 linked images in Chromium: how soon it is seen, and how evenly it scrolls.

The first view is the frame after the one in which the first images stand in the page, counted from the start of the
navigation; pictures come after it. Frames are the gaps between calls of requestAnimationFrame while the page scrolls
by itself: as by a wheel, and as by a scroll bar that is drawn through all images. The longest one counts.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from material import Material
from measure import Missing, Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

IMAGES, FILES, PROMPTS, SIDE = 20_000, 250, 4_000, 512
GENERATORS = tuple(f"generator-{number}" for number in range(15))
RUNS = 3
SECONDS, FRAME = 1.0, 100.0  # of the first view; milliseconds of the longest frame
WHEEL, BAR = 120, 2_500  # pixels in each frame
SCROLL = """
const [step, milliseconds, done] = arguments;
const main = document.getElementById('main');
const gaps = [];
let last = performance.now(), begin = last;
const frame = (now) => {
  gaps.push(now - last);
  last = now;
  main.scrollTop += step;
  if (now - begin < milliseconds) requestAnimationFrame(frame); else done(gaps.slice(1));
};
requestAnimationFrame(frame);
"""
SHOWN = "return (performance.getEntriesByName('gallery-shown')[0] || {}).startTime"


def rows(material: Material, runs: int | None) -> list[Row]:
    import chromium

    if lacks := chromium.missing():
        raise Missing(f"not run: {lacks}")
    with tempfile.TemporaryDirectory(prefix="aigiqa-gallery-") as temporary:
        page = make(Path(temporary))
        first: list[float] = []
        frames: dict[str, list[float]] = {}
        for _ in range(runs or RUNS):
            with chromium.browser() as driver:
                driver.set_script_timeout(60)
                first.append(_first_view(driver, page.as_uri()) / 1000)
                for view in ("grid", "prompts"):
                    driver.get("about:blank")
                    _first_view(driver, f"{page.as_uri()}#view={view}")
                    for name, step in (("wheel", WHEEL), ("scroll bar", BAR)):
                        gaps = driver.execute_async_script(SCROLL, step, 4000)
                        frames.setdefault(f"{view}, {name}", []).append(max(gaps))
        size = page.stat().st_size / 1e6
    name = f"gallery of {IMAGES:,} images"
    return [
        Row(f"{name}: page", "MB", value=size),
        Row(f"{name}: first view", "s", tuple(first), value=statistics.median(first), target=SECONDS),
        *(
            Row(f"{name}: longest frame, {how}", "ms", value=statistics.median(gaps), target=FRAME)
            for how, gaps in frames.items()
        ),
    ]


def _first_view(driver: Any, address: str) -> float:
    """Milliseconds from the start of the navigation."""
    from selenium.webdriver.support.wait import WebDriverWait

    driver.get(address)
    return float(WebDriverWait(driver, 60).until(lambda one: one.execute_script(SHOWN)))


def make(folder: Path) -> Path:
    """The page, beside 20,000 names of a few hundred JPEG files of 512 pixels."""
    from aigiqa_cli import gallery

    images = folder / "root" / "bench" / "images"
    images.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    for number in range(IMAGES):
        os.link(folder / f"{number % FILES}.jpg", images / name_of(number))
    page = folder / "gallery.html"
    setup = gallery.Setup("Bench", [gallery.About("bench")], gallery.linked(page, folder / "root"))
    with page.open("wb") as stream:
        gallery.write(index(), setup, stream)
    return page


def picture(number: int) -> bytes:
    """Soft colours with grain: as large as a photograph of that size, and as long to decode."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 9, (SIDE, SIDE, 1))
    target = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(target, "JPEG", quality=88)
    return target.getvalue()


def name_of(number: int) -> str:
    return f"{GENERATORS[number % len(GENERATORS)]}_{number:05}.jpg"


def index() -> Iterator[dict[str, str]]:
    """Rows with all that a large database says: prompts of a usual length, scores of three dimensions, extra fields."""
    from aigiqa_cli.index import COLUMNS, prompt_id

    chance = random.Random(20_260_701)
    words = [f"{a}{b}" for a in ("sky", "tree", "glass", "portrait", "neon", "castle") for b in ("", "s", " of light")]
    prompts = [" ".join(chance.choices(words, k=chance.randint(6, 24))) for _ in range(PROMPTS)]
    for number in range(IMAGES):
        prompt = prompts[number // (IMAGES // PROMPTS)]
        row = dict.fromkeys(COLUMNS, "") | {
            "database": "bench", "image_id": name_of(number), "image_path": f"bench/images/{name_of(number)}",
            "task": "t2i", "prompt": prompt, "prompt_id": prompt_id(prompt), "row": str(number),
            "generator": GENERATORS[number % len(GENERATORS)], "setting": ("normal", "lowstep")[number % 2],
            "width": str(SIDE), "height": str(SIDE), "format": "jpeg", "bytes": "70000",
            "sha256": f"{chance.getrandbits(256):064x}", "extra": f'{{"style":"{prompt[:20]}","seed":{number}}}',
        }  # fmt: skip
        for dimension in ("quality", "alignment", "authenticity"):
            mos = chance.uniform(0, 5)
            row |= {f"mos_{dimension}": f"{mos:.4f}", f"score_{dimension}": f"{round(mos, 4) / 5:.6f}"}
            row[f"std_{dimension}"] = f"{chance.uniform(0.2, 1.2):.4f}"
        yield row


def keep(folder: Path) -> None:
    """The page and its images for looking at them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(make(folder))


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
