"""README.md of a folder: the data set card that Hugging Face shows and `datasets.load_dataset` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from aigiqa_cli import __version__
from aigiqa_cli.exports.about import About
from aigiqa_cli.exports.samples import Plan, Source

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LICENSES = frozenset(
    ["apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0",
     "cc-by-nc-sa-4.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "odbl"]
)  # fmt: skip
TYPES = {"text": "string", "json": "string", "number": "float64", "integer": "int64"}


def features(source: Source, images: Sequence[str]) -> dict[str, str]:
    """Feature -> its type as a card says it: `images` are of type image, then the columns of the index."""
    from aigiqa_cli.index import KINDS

    return dict.fromkeys(images, "image") | {column: TYPES[KINDS[column]] for column in source.columns}


def card(source: Source, planned: Plan, files: Mapping[str, str], typed: Mapping[str, str]) -> bytes:
    """The whole card. `files`: part -> pattern of its files; `typed`: feature -> type, {} where the files say it."""
    about = source.about
    lines = ["---", *_license(about), f"pretty_name: {_quoted(' + '.join(one.title for one in about))}"]
    lines += ["tags:", "- image-quality-assessment", "- ai-generated-images"]
    lines += ["- synthetic"] if any(one.synthetic for one in about) else []
    lines += ["size_categories:", f"- {next((word for most, word in _SIZES if planned.rows < most), '1M<n<10M')}"]
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for side, pattern in files.items():
        lines += [f"  - split: {side}", f"    path: {_quoted(pattern)}"]
    lines += ["dataset_info:", *(["  features:"] if typed else [])]
    for name, kind in typed.items():
        lines += [f"  - name: {name}", f"    dtype: {kind}"]
    lines.append("  splits:")
    for side, counted in planned.sides.items():
        lines += [f"  - name: {side}", f"    num_bytes: {counted.bytes}", f"    num_examples: {counted.rows}"]
    return ("\n".join([*lines, "---", "", *_text(source, planned)]) + "\n").encode()


def _license(about: Sequence[About]) -> Iterable[str]:
    words = {one.license for one in about}
    word = next(iter(words)).lower() if len(words) == 1 else ""
    if word in _LICENSES:
        return [f"license: {word}"]
    if words == {"unspecified"}:
        return ["license: unknown"]
    return ["license: other", f"license_name: {_quoted(', '.join(sorted(words)))}"]


def _text(source: Source, planned: Plan) -> Iterable[str]:
    yield f"# {' + '.join(one.title for one in source.about)}"
    yield ""
    yield f"Exported by aigiqa {__version__}. Scores are the published ones: `mos_*` and `std_*` unchanged, `score_*`"
    yield "mapped linearly from the declared scale to 0..1 (higher is better)."
    yield ""
    yield "| part | images |"
    yield "|---|---|"
    for side, counted in planned.sides.items():
        yield f"| {side} | {counted.rows:,} |"
    for one in source.about:
        yield ""
        yield f"## {one.title}"
        yield ""
        yield one.summary
        yield ""
        yield f"- licence: {one.license} ({one.license_scope}){'; ' + one.license_note if one.license_note else ''}"
        if one.homepage:
            yield f"- homepage: {one.homepage}"
        for dimension, (low, high) in one.scales.items():
            yield f"- `mos_{dimension}`: {low} to {high}"
        for defect in one.defects:
            yield f"- known: {' '.join(defect.split())}"
        yield ""
        yield "```bibtex"
        yield one.citation.rstrip("\n")
        yield "```"


def _quoted(text: str) -> str:
    """A JSON string is a YAML string too."""
    return json.dumps(text, ensure_ascii=False)
