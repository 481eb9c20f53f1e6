"""Measures that are built in: no weights, no download, the same number on every machine.

They say how an image is, not how good it is: published correlations of such measures with MOS are low. They serve as
floors, to find outliers, and to see what a learned metric adds.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.images import NotAnImage
from aigiqa_cli.scoring import pixels
from aigiqa_cli.scoring.contract import HIGHER, LOWER, NEITHER, About, Item, Score, judged

if TYPE_CHECKING:
    from PIL.Image import Image

EXTRA = "score"
VERSION = "1"  # of the definitions below; scores of two versions never mix
TOO_SMALL = 16  # pixels: below, JPEG has no block border to look at

# jpeg-quality: the parameters that its authors fitted to the MOS of JPEG images.
ALPHA, BETA, GAMMA = -245.8909, 261.9373, (-239.8886e-4, 160.1664e-4, 64.2859e-4)


def sharpness(image: Image) -> float:
    """Variance of the Laplacian of luma: 4 neighbours, mirrored at the border without repeating it."""
    from scipy.ndimage import laplace

    return float(laplace(pixels.luma(image), mode="mirror").var())


def blur(image: Image) -> float:
    """How little a blur changes the differences between neighbours; skimage.measure.blur_effect with its defaults."""
    from skimage.measure import blur_effect

    return float(blur_effect(pixels.rgb(image), channel_axis=-1))


def contrast(image: Image) -> float:
    """RMS contrast: standard deviation of luma in 0..1."""
    return float(pixels.luma(image).std() / 255)


def colorfulness(image: Image) -> float:
    """Spread plus 0.3 times distance from grey in the opponent plane R - G, (R + G) / 2 - B."""
    import numpy as np

    red, green, blue = np.moveaxis(pixels.rgb(image).astype(np.float64), -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


def brightness(image: Image) -> float:
    """Mean luma in 0..1."""
    return float(pixels.luma(image).mean() / 255)


def entropy(image: Image) -> float:
    """Entropy of the histogram of luma in bits; skimage.measure.shannon_entropy."""
    from skimage.measure import shannon_entropy

    return float(shannon_entropy(pixels.luma(image)))


def jpeg_quality(image: Image) -> Score:
    """Blockiness B, activity A and zero crossings Z of luma into a quality, about 1 (worst) to 10 (best)."""
    luma = pixels.luma(image)
    if min(luma.shape) < TOO_SMALL:
        return f"{image.width} x {image.height} pixels are too few for blocks of 8 x 8"
    features = [(row + column) / 2 for row, column in zip(_features(luma), _features(luma.T), strict=True)]
    if min(features) <= 0:
        return "a flat image has no gradient to measure"
    product = 1.0
    for feature, exponent in zip(features, GAMMA, strict=True):
        product *= feature**exponent
    return ALPHA + BETA * product


def _features(luma: pixels.Array) -> tuple[float, float, float]:
    """B, A, Z along the rows: mean difference across borders of blocks, inside them, share of sign changes."""
    import numpy as np

    steps = np.diff(luma, axis=1)
    across = float(np.abs(steps[:, 7 : 8 * (luma.shape[1] // 8 - 1) : 8]).mean())
    inside = (8 * float(np.abs(steps).mean()) - across) / 7
    signs = np.sign(steps)
    return across, inside, float((signs[:, :-1] * signs[:, 1:] < 0).mean())


def ssim(image: Image, reference: Image) -> float:
    """SSIM of luma as its authors compute it: Gaussian window of 11 x 11 with sigma 1.5."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            pixels.luma(reference),
            pixels.luma(image),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
    )


def psnr(image: Image, reference: Image) -> Score:
    """10 log10(255² / mean squared error) over the three colours, in dB; infinite for equal images."""
    import numpy as np
    from skimage.metrics import peak_signal_noise_ratio

    first, second = pixels.rgb(reference), pixels.rgb(image)
    if np.array_equal(first, second):
        return "the image equals its reference, so PSNR is infinite"
    return float(peak_signal_noise_ratio(first, second, data_range=255))


Measure = Callable[["Image"], Score]
Comparison = Callable[["Image", "Image"], Score]

_SKIMAGE = f"aigiqa[{EXTRA}]"
MEASURES: dict[str, About] = {
    about.name: about
    for about in (
        About("sharpness", "variance of the Laplacian of luma", HIGHER, "0 and more",
              "Pech-Pacheco et al., ICPR 2000 (LAPV); scipy.ndimage.laplace"),
        About("blur", "strength of blur", LOWER, "0 to 1",
              "Crété et al., SPIE 6492, 2007; skimage.measure.blur_effect", needs=_SKIMAGE),
        About("contrast", "RMS contrast of luma", HIGHER, "0 to 0.5", "Peli, JOSA A 7, 1990"),
        About("colorfulness", "colourfulness M3", HIGHER, "0 and more; 109 is extremely colourful",
              "Hasler & Süsstrunk, SPIE 5007, 2003"),
        About("brightness", "mean luma", NEITHER, "0 to 1", "ITU-R BT.601 luma"),
        About("entropy", "entropy of the luma histogram, bits", HIGHER, "0 to 8",
              "Shannon 1948; skimage.measure.shannon_entropy", needs=_SKIMAGE),
        About("jpeg-quality", "quality of JPEG coding by blockiness", HIGHER, "about 1 to 10; more without any block",
              "Wang, Sheikh & Bovik, ICIP 2002"),
        About("ssim", "structural similarity to the reference, luma", HIGHER, "-1 to 1",
              "Wang et al., IEEE TIP 13, 2004; skimage.metrics.structural_similarity", True, _SKIMAGE),
        About("psnr", "peak signal-to-noise ratio to the reference, dB", HIGHER, "0 and more",
              "skimage.metrics.peak_signal_noise_ratio", True, _SKIMAGE),
    )
}  # fmt: skip
_ALONE: dict[str, Measure] = {
    "sharpness": sharpness, "blur": blur, "contrast": contrast, "colorfulness": colorfulness,
    "brightness": brightness, "entropy": entropy, "jpeg-quality": jpeg_quality,
}  # fmt: skip
_PAIRED: dict[str, Comparison] = {"ssim": ssim, "psnr": psnr}


@dataclass(frozen=True)
class BuiltIn:
    """One of MEASURES, several images at a time in threads: decoding and arithmetic let go of the interpreter."""

    about: About

    @cached_property
    def identity(self) -> Mapping[str, str]:
        libraries = ("pillow", "numpy", "scipy", *(("scikit-image",) if self.about.needs else ()))
        return {"measure": self.about.name, "version": VERSION, **{name: version(name) for name in libraries}}

    def demand(self) -> None:
        """Raise UsageFault unless the library that it needs is here."""
        if self.about.needs and importlib.util.find_spec("skimage") is None:
            raise UsageFault(
                f"{self.about.name} needs scikit-image, which is not installed",
                hint=f"pip install '{self.about.needs}'",
                phase="PLAN",
            )

    def score(self, items: Sequence[Item]) -> list[Score]:
        with ThreadPoolExecutor(min(len(items), os.cpu_count() or 1)) as pool:
            return list(pool.map(self._one, items))

    def _one(self, item: Item) -> Score:
        try:
            image = pixels.picture(item.path)
            if item.reference is None or not self.about.needs_reference:
                return _told(_ALONE[self.about.name](image))
            reference = pixels.as_large(pixels.picture(item.reference), image)
            return _told(_PAIRED[self.about.name](image, reference))
        except (NotAnImage, ValueError) as error:  # a window that is larger than the image, say
            return str(error).partition("\n")[0]


def _told(value: Score) -> Score:
    return value if isinstance(value, str) else judged(value)
