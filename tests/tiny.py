"""`tiny`: an invented database of twelve images in AGIQA-3K's table shape, for runs without published data."""

from __future__ import annotations

import hashlib

TINY_HOST = "files.example.org"
TINY_COMMIT = "7" * 40
TINY_REPOSITORY = "example/tiny"
PROMPTS = ("a red square", "two blue circles, warm color", 'a sign that says "open"')
MODELS = ("AttnGAN_normal", "DALLE2_normal", "midjourney_normal", "sd1.5_lowcorr")
SLUGS = {
    "AttnGAN": "attngan",
    "DALLE2": "dall-e-2",
    "midjourney": "midjourney",
    "sd1.5": "stable-diffusion-1.5",
}

# The shortest manifest that uses most rules; CODE stands for an extraction code.
SMALL = """\
schema: 1
version: 1
id: small
title: Small
summary: two pictures
license: {spdx: MIT, scope: all, source: here}
citation: {key: a, type: misc, title: T, authors: [A], year: 2024}
assets:
  - name: pictures.zip
    role: images
    format: zip
    mirrors:
      - {kind: http, url: https://example.org/pictures.zip}
  - name: labels.csv
    role: labels
    format: csv
    mirrors:
      - {kind: baidu, url: https://pan.baidu.com/s/1abc, code: CODE}
labels:
  - needs: [labels.csv]
    tables: [{file: labels.csv, columns: [name, mos]}]
    extract: {name: '^(?P<model>[a-z]+)'}
    columns: {generator: model, task: {const: t2i}}
    recode: {generator: {a: glide}}
    scores: {quality: {mos: mos, range: [0, 5]}}
    image: {id: name, find: ['{name}']}
expect: {images: 2, rows: 2, generators: {glide: 2}}
"""


def small_labels() -> bytes:
    """Twelve invented rows, CRLF and quoting as in the published table of AGIQA-3K."""
    lines = ["name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"]
    for model_number, model in enumerate(MODELS):
        for number, prompt in enumerate(PROMPTS):
            text = '"' + prompt.replace('"', '""') + '"' if set(prompt) & {",", '"'} else prompt
            adjective = "warm color" if "warm color" in prompt else ""
            quality, alignment = (
                f"{model_number + number * 0.25 + 0.125:.6f}",
                f"{4 - model_number - number * 0.5:.3f}",
            )
            lines.append(f"{model}_{number:03}.jpg,{text},{adjective},,,{quality},0.500000,{alignment},0.25")
    return ("\r\n".join(lines) + "\r\n").encode()


def tiny_manifest(archive: bytes, labels: bytes | None = None, *, pinned: bool = True) -> str:
    """Manifest of `tiny`: `/tiny.zip` on TINY_HOST, labels on GitHub, and one share that only a person can open."""
    labels = small_labels() if labels is None else labels
    recode = ", ".join(f"{name}: {slug}" for name, slug in SLUGS.items())
    counts = ", ".join(f"{slug}: {len(PROMPTS)}" for slug in SLUGS.values())
    return f"""\
schema: 1
version: 1
id: tiny
title: Tiny
summary: Twelve invented images with invented scores.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: tiny2026, type: misc, title: Tiny, authors: [Nobody], year: 2026}}
assets:
  - name: tiny.zip
    role: images
    format: zip
{_pin(archive, pinned)}    mirrors:
      - {{kind: http, url: https://{TINY_HOST}/tiny.zip}}
      - {{kind: baidu, url: https://pan.baidu.com/s/1tiny, code: "0755"}}
  - name: data.csv
    role: labels
    format: csv
{_pin(labels, pinned)}    mirrors:
      - {{kind: github, repo: {TINY_REPOSITORY}, revision: "{TINY_COMMIT}", path: data.csv}}
labels:
  - needs: [data.csv]
    tables:
      - file: data.csv
        columns: [name, prompt, adj1, adj2, style, mos_quality, std_quality, mos_align, std_align]
    extract:
      name: '^(?P<model>AttnGAN|DALLE2|midjourney|sd1\\.5)_(?P<setting>normal|lowcorr)_(?P<number>\\d{{3}})\\.jpg$'
    image: {{id: name, find: ["{{name}}"]}}
    columns: {{prompt: prompt, generator: model, setting: setting, task: {{const: t2i}}}}
    extra: [adj1, adj2, style]
    recode: {{generator: {{{recode}}}}}
    scores:
      quality: {{mos: mos_quality, std: std_quality, range: [0, 5]}}
      alignment: {{mos: mos_align, std: std_align, range: [0, 5]}}
expect: {{images: 12, rows: 12, prompts: {len(PROMPTS)}, generators: {{{counts}}}}}
"""


def _pin(data: bytes, pinned: bool) -> str:
    if not pinned:
        return ""
    return f"    bytes: {len(data)}\n    sha256: {hashlib.sha256(data).hexdigest()}\n"
