"""The backbones that the methods are published with: what each is called, where its feature is taken, how images are
cut for it, and which ImageNet weights the authors' code loads. No PyTorch here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aigiqa_cli.errors import UsageFault


@dataclass(frozen=True)
class Backbone:
    """`timm` is its name in timm, `width` the size d of its feature. The short side of an image is resized to `resize`
    pixels, then `crop` x `crop` are cut out; less than `least` would leave a last map of one pixel, of which BatchNorm
    has no statistics. `weights` is what manifests call the file that the authors' code loads, `hub` the repository on
    the Hugging Face Hub that timm takes its weights from. `tokens`: a ViT, whose feature is the CLS token of the last
    block before the final norm; the feature of the others is the mean of the last map. `head` are the names that begin
    what of a published file is behind the feature."""

    name: str
    timm: str
    width: int
    weights: str
    hub: str
    head: tuple[str, ...]
    resize: int = 256
    crop: int = 224
    least: int = 64
    tokens: bool = False

    def cut(self, crop: int) -> Backbone:
        """The same for other crops; the short side keeps its ratio to them. 0 leaves it as it is."""
        if not crop or crop == self.crop:
            return self
        if crop < self.least:
            raise UsageFault(f"{self.name} takes crops of {self.least} pixels and more", hint="--crop PX", phase="PLAN")
        if self.tokens:
            raise UsageFault(f"{self.name} takes {self.crop} pixels", hint="leave out --crop", phase="PLAN")
        return replace(self, crop=crop, resize=max(crop, round(crop * self.resize / self.crop)))


_VGG, _RESNET = ("classifier.", "pre_logits.", "head."), ("fc.",)

BACKBONES = {
    one.name: one
    for one in (
        Backbone("vgg16", "vgg16", 512, "vgg16-397923af.pth", "timm/vgg16.tv_in1k", _VGG),
        Backbone("vgg19", "vgg19", 512, "vgg19-dcbb9e9d.pth", "timm/vgg19.tv_in1k", _VGG),
        Backbone("resnet18", "resnet18", 512, "resnet18-f37072fd.pth", "timm/resnet18.tv_in1k", _RESNET),
        Backbone("resnet50", "resnet50", 2048, "resnet50-0676ba61.pth", "timm/resnet50.tv_in1k", _RESNET),
        Backbone(
            "inceptionv4",
            "inception_v4",
            1536,
            "inceptionv4-8e4777a0.pth",
            "timm/inception_v4.tf_in1k",
            ("last_linear.",),
            resize=320,
            crop=299,
            least=128,
        ),
        Backbone(
            "vit-large",
            "vit_large_patch16_224",
            1024,
            "vit_large_patch16_224.safetensors",
            "timm/vit_large_patch16_224.augreg_in21k_ft_in1k",
            ("norm.", "head."),
            tokens=True,
        ),
    )
}


def backbone(name: str) -> Backbone:
    """Raises UsageFault with the names that there are."""
    if name not in BACKBONES:
        raise UsageFault(f"there is no backbone {name!r}", hint=f"backbones: {', '.join(BACKBONES)}", phase="PLAN")
    return BACKBONES[name]
