"""The networks against cases computed by hand, and against the description of the authors' code."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from with_torch import BACKBONES, devices, model, settings, small, timm, torch, training, weights

from aigiqa_cli.errors import RefusedInput, UsageFault
from aigiqa_cli.reporting import Silent

WIDTHS = {"vgg16": 512, "vgg19": 512, "resnet18": 512, "resnet50": 2048, "inceptionv4": 1536, "vit-large": 1024}
CONVOLUTIONAL = [name for name in WIDTHS if name != "vit-large"]


def seeded(method: str, name: str = "resnet18") -> Any:
    torch.manual_seed(7)
    return model.Scorer(method, small(name))


def pictures(count: int, seed: int = 3) -> Any:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


# --- fusion, by hand ---------------------------------------------------------------------------------------------


def test_FR_puts_the_generated_image_first() -> None:
    found = model.full(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
    assert found.tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]]


def test_PR_is_the_mean_where_there_is_an_image_prompt_and_the_image_alone_where_there_is_none() -> None:
    generated = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    reference = torch.tensor([[5.0, -6.0], [700.0, 800.0]])
    assert model.partial(generated, reference, torch.tensor([1.0, 0.0])).tolist() == [[3, -2], [3, 4]]


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize(("method", "times"), [("nr", 1), ("fr", 2), ("pr", 1)])
def test_the_regressor_halves_what_it_is_given_and_ends_in_one_number(name: str, method: str, times: int) -> None:
    with torch.device("meta"):
        layers = list(model.Scorer(method, BACKBONES[name]).regressor)
    given = WIDTHS[name] * times
    assert [type(layer).__name__ for layer in layers] == ["Linear", "ReLU", "Linear"]
    assert (layers[0].in_features, layers[0].out_features) == (given, given // 2)
    assert (layers[2].in_features, layers[2].out_features) == (given // 2, 1)


@pytest.mark.parametrize("name", WIDTHS)
def test_every_backbone_gives_a_feature_of_its_width_at_the_authors_size(name: str) -> None:
    one = BACKBONES[name]
    with torch.device("meta"):
        found = model.Feature(one)(torch.empty(2, 3, one.crop, one.crop))
    assert tuple(found.shape) == (2, WIDTHS[name])


# --- where the feature is taken ----------------------------------------------------------------------------------


def test_of_a_vit_it_is_the_CLS_token_of_the_last_block_before_the_final_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the authors' forward hook takes it; on a ViT of the same make with 12 small blocks."""
    tiny = BACKBONES["vit-large"].__class__(
        "tiny", "vit_tiny_patch16_224", 192, "", "", ("norm.", "head."), tokens=True
    )
    torch.manual_seed(1)
    whole = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
    feature = model.Feature(tiny).eval()
    feature.body.load_state_dict(whole.state_dict(), strict=False)
    seen = []
    whole.blocks[-1].register_forward_hook(lambda _module, _given, output: seen.append(output[:, 0]))
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        found, normed = feature(images), whole.forward_features(images)[:, 0]
    assert torch.equal(found, seen[0])
    assert not torch.allclose(found, normed, atol=1e-3), "after the norm it would be another feature"


def test_of_a_resnet_it_is_the_mean_after_layer4() -> None:
    feature = model.Feature(small("resnet18")).eval()
    seen = []
    feature.body.layer4.register_forward_hook(lambda _module, _given, output: seen.append(output))
    with torch.inference_mode():
        found = feature(pictures(2))
    assert torch.allclose(found, seen[0].flatten(2).mean(2))


def test_of_a_vgg_it_is_the_mean_of_its_features_without_a_fully_connected_layer() -> None:
    feature = model.Feature(small("vgg16")).eval()
    with torch.inference_mode():
        images = pictures(1)
        assert torch.allclose(feature(images), feature.body.features(images).flatten(2).mean(2))
    assert sum(p.numel() for p in feature.parameters()) == 14_714_688, "the 13 convolutions of VGG-16"


def test_of_inceptionv4_it_is_the_mean_before_the_last_linear() -> None:
    with torch.device("meta"):
        feature = model.Feature(BACKBONES["inceptionv4"])
        shape = feature.body.forward_features(torch.empty(1, 3, 299, 299)).shape
    assert tuple(shape) == (1, 1536, 8, 8), "Szegedy et al. 2016, figure 9"


# --- one pass of a doubled batch ---------------------------------------------------------------------------------


def test_both_images_pass_one_backbone_at_once_the_generated_half_first() -> None:
    scorer = seeded("fr").eval()
    given = []
    scorer.feature.body.register_forward_pre_hook(lambda _module, images: given.append(images))
    scorer.feature.body.conv1.register_forward_pre_hook(lambda _module, images: given.append(images[0]))
    images, references = pictures(2, 3), pictures(2, 4)
    with torch.inference_mode():
        scorer(images, references, torch.ones(2))
    assert len(given) == 1
    assert torch.equal(given[0], torch.cat([images, references]))


def test_FR_is_the_regressor_on_both_features() -> None:
    scorer = seeded("fr").eval()
    images, references = pictures(3, 3), pictures(3, 4)
    with torch.inference_mode():
        by_hand = scorer.regressor(torch.cat([scorer.feature(images), scorer.feature(references)], dim=1)).squeeze(1)
        assert torch.allclose(scorer(images, references, torch.ones(3)), by_hand, atol=1e-6)
        turned = scorer(references, images, torch.ones(3))
    assert not torch.allclose(turned, by_hand, atol=1e-4), "which of the two is generated matters"


def test_PR_follows_its_formula_with_and_without_image_prompts() -> None:
    scorer = seeded("pr").eval()
    images, references, present = pictures(3, 3), pictures(3, 4), torch.tensor([1.0, 0.0, 1.0])
    with torch.inference_mode():
        of_image, of_prompt = scorer.feature(images), scorer.feature(references)
        fused = torch.stack([(of_image[n] + m * of_prompt[n]) / (1 + m) for n, m in enumerate(present.tolist())])
        assert torch.allclose(scorer(images, references, present), scorer.regressor(fused).squeeze(1), atol=1e-6)


def test_PR_without_a_single_image_prompt_is_NR_once_it_is_trained() -> None:
    partial, none = seeded("pr").eval(), seeded("nr").eval()
    none.load_state_dict(partial.state_dict())
    images = pictures(4)
    with torch.inference_mode():
        assert torch.allclose(partial(images, torch.zeros_like(images), torch.zeros(4)), none(images), atol=1e-6)


def test_in_training_BatchNorm_has_seen_the_missing_image_prompts() -> None:
    """The zeros enter its statistics: PR is not NR there. In a network without BatchNorm it is."""
    images = pictures(4)
    for name, same in (("resnet18", False), ("vgg16", True)):
        partial, none = seeded("pr", name).train(), seeded("nr", name).train()
        none.load_state_dict(partial.state_dict())
        with torch.no_grad():
            found = partial(images, torch.zeros_like(images), torch.zeros(4))
            assert torch.allclose(found, none(images), atol=1e-5) is same
    mean = seeded("pr").train()
    with torch.no_grad():
        mean(images, torch.zeros_like(images), torch.zeros(4))
    both = torch.cat([images, torch.zeros_like(images)])
    first = mean.feature.body.conv1(both).mean(dim=(0, 2, 3))
    assert torch.allclose(mean.feature.body.bn1.running_mean, 0.1 * first, atol=1e-5), "momentum 0.1 from a mean of 0"


@pytest.mark.parametrize("method", ["nr", "fr", "pr"])
def test_doubling_the_batch_changes_no_score(method: str) -> None:
    scorer = seeded(method).eval()
    images, references, present = pictures(3, 3), pictures(3, 4), torch.tensor([1.0, 0.0, 1.0])
    with torch.inference_mode():
        once = scorer(images, references, present)
        twice = scorer(*(torch.cat([tensor, tensor]) for tensor in (images, references, present)))
    assert torch.allclose(twice, torch.cat([once, once]), atol=1e-6)


def test_mixed_precision_leaves_the_score_in_float32() -> None:
    """A score of 8 significant bits would tie with others, and a rank correlation sees that."""
    scorer = seeded("nr").eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = scorer(pictures(16))
    assert found.dtype == torch.float32
    assert not torch.equal(found, found.bfloat16().float())


# --- loss and optimiser ------------------------------------------------------------------------------------------


def test_a_step_is_that_of_Adam_with_weight_decay_on_the_mean_square_error() -> None:
    """Kingma and Ba 2015, algorithm 1, with the L2 term in the gradient: the first step is lr * g / (|g| + eps)."""
    chosen = settings.Settings("nr", "any", "quality", "any", "resnet18", lr=1e-4)
    machine = devices.Machine(torch.device("cpu"))
    scorer, same = seeded("nr"), seeded("nr").train()
    adam = training.optimiser(scorer, chosen, machine)
    group = adam.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (1e-4, 1e-5, (0.9, 0.999))
    assert len(group["params"]) == len(list(scorer.parameters())), "backbone and regressor, all layers"
    images, targets = pictures(2), torch.tensor([3.0, 1.0])
    scores = same(images)
    by_hand = ((scores[0] - 3.0) ** 2 + (scores[1] - 1.0) ** 2) / 2
    by_hand.backward()
    loss = training._epoch(
        scorer,
        [{"image": images, "score": targets}],
        adam,
        torch.amp.GradScaler("cpu", enabled=False),
        machine,
        Silent(),
        len(images),
    )
    assert math.isclose(loss, by_hand.item(), rel_tol=1e-5)
    for name in ("regressor.2.weight", "feature.body.conv1.weight"):
        before, after = same.get_parameter(name), scorer.get_parameter(name)
        gradient = before.grad + 1e-5 * before.detach()
        assert torch.allclose(after, before - 1e-4 * gradient / (gradient.abs() + 1e-8), atol=1e-6)


# --- published weights -------------------------------------------------------------------------------------------


def published(folder: Path, name: str, tensors: dict[str, Any]) -> Path:
    path = folder / name
    torch.save(tensors, path)
    return path


@pytest.mark.parametrize(("name", "head"), [("resnet18", "fc."), ("vgg16", "classifier.6.")])
def test_a_file_with_torchvisions_names_fills_the_backbone(name: str, head: str, tmp_path: Path) -> None:
    """torchvision's own models, without weights: their state dicts have the names of the published files."""
    import torchvision

    torch.manual_seed(5)
    theirs = getattr(torchvision.models, name)(weights=None)
    tensors = {k: t for k, t in theirs.state_dict().items() if not k.startswith("classifier.")}
    path = published(tmp_path, "published.pth", tensors | {f"{head}bias": torch.zeros(1000)})
    feature = model.Feature(BACKBONES[name]).eval()
    weights.load(path, feature, BACKBONES[name])
    images = torch.randn(2, 3, 64, 64)
    layers = torch.nn.Sequential(*list(theirs.children())[:-2]) if name == "resnet18" else theirs.features
    with torch.inference_mode():
        assert torch.allclose(feature(images), layers.eval()(images).mean(dim=(2, 3)), atol=1e-5)


def test_a_file_of_timm_fills_a_vit_without_its_norm_and_head(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tiny = BACKBONES["vit-large"].__class__(
        "tiny", "vit_tiny_patch16_224", 192, "", "", ("norm.", "head."), tokens=True
    )
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    feature = model.Feature(tiny)
    weights.load(tmp_path / "model.safetensors", feature, tiny)
    assert torch.equal(feature.body.blocks[3].attn.qkv.weight, theirs.blocks[3].attn.qkv.weight)


def test_a_file_that_does_not_fit_is_refused_with_the_first_name(tmp_path: Path) -> None:
    feature = model.Feature(small("resnet18"))
    good = dict(feature.body.state_dict())
    lacking = {name: tensor for name, tensor in good.items() if name != "layer2.0.conv1.weight"}
    cases = {
        "lacks layer2.0.conv1.weight": lacking,
        "holds stem.weight, which resnet18 has no place for": good | {"stem.weight": torch.zeros(1)},
        "has another shape of conv1.weight": good | {"conv1.weight": torch.zeros(64, 1, 7, 7)},
    }
    for told, tensors in cases.items():
        with pytest.raises(RefusedInput, match=told):
            weights.load(published(tmp_path, "other.pth", tensors), feature, small("resnet18"))


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_a_file_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(RefusedInput, match="holds more than tensors"):
        weights.read(tmp_path / "harmful.pth")
    assert not (tmp_path / "executed").exists()
    torch.load(tmp_path / "harmful.pth", weights_only=False)
    assert (tmp_path / "executed").exists(), "or this file would prove nothing"


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors"])
def test_what_is_no_file_of_weights_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<html>not found</html>")
    with pytest.raises(RefusedInput):
        weights.read(tmp_path / name)
    with pytest.raises(UsageFault):
        weights.read(tmp_path / f"no-{name}")
