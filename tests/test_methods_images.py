"""What is cut out of images, in which order they come, and that nothing but seed, epoch and name decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from with_torch import BACKBONES, devices, images, prediction, sides, small, torch

from aigiqa_cli.errors import IntegrityFault

SIZES = {"vgg16": (256, 224), "vgg19": (256, 224), "resnet18": (256, 224), "resnet50": (256, 224), "inceptionv4": (320, 299), "vit-large": (256, 224)}  # fmt: skip


@pytest.fixture
def examples(tmp_path: Path) -> list[Any]:
    """Eight pictures of 48 x 40 pixels, the red of each tells column and row apart; every second has a reference."""
    made = []
    for number in range(8):
        pixels = np.zeros((40, 48, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = np.arange(48), np.arange(40)[:, None], number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        reference = tmp_path / f"{number}.png" if number % 2 else None
        made.append(sides.Example("any", f"{number}.png", tmp_path / f"{number}.png", reference, float(number)))
    return made


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_normalisation_are_those_of_the_authors(name: str) -> None:
    resize, crop = SIZES[name]
    for made, cuts in (
        (images.training(BACKBONES[name]), ["Resize", "RandomCrop", "RandomHorizontalFlip"]),
        (images.testing(BACKBONES[name]), ["Resize", "CenterCrop"]),
    ):
        steps = made.transforms
        assert [type(step).__name__ for step in steps] == [*cuts, "ToTensor", "Normalize"]
        assert (steps[0].size, tuple(steps[1].size)) == (resize, (crop, crop))
        assert (list(steps[-1].mean), list(steps[-1].std)) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_a_picture_is_cut_and_normalised_as_by_hand() -> None:
    """320 x 256 of one colour: its short side stays, 224 x 224 of the middle, (value - mean) / std."""
    found = images.testing(BACKBONES["resnet50"])(Image.new("RGB", (320, 256), (255, 0, 102)))
    assert (tuple(found.shape), found.dtype) == ((3, 224, 224), torch.float32)
    by_hand = torch.tensor([(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.4 - 0.406) / 0.225])
    assert torch.allclose(found, by_hand[:, None, None].expand_as(found), atol=1e-6)


def test_crops_keep_their_ratio_to_the_short_side() -> None:
    assert (BACKBONES["resnet18"].cut(64).resize, BACKBONES["inceptionv4"].cut(150).resize) == (73, 161)


def test_a_draw_depends_on_seed_epoch_and_name_alone(examples: list[Any]) -> None:
    backbone = small()
    one = images.Images(examples, "nr", backbone, 1)
    turned = images.Images(examples[::-1], "nr", backbone, 1)
    for number in range(8):
        torch.rand(3)  # what others draw does not matter
        assert torch.equal(one[2, number]["image"], turned[2, 7 - number]["image"])
    assert any(not torch.equal(one[2, n]["image"], one[3, n]["image"]) for n in range(8))
    other = images.Images(examples, "nr", backbone, 2)
    assert any(not torch.equal(one[2, n]["image"], other[2, n]["image"]) for n in range(8))
    assert torch.equal(one[images.UNTRAINED, 3]["image"], other[images.UNTRAINED, 3]["image"])


def test_what_is_drawn_leaves_the_generator_of_the_process_alone(examples: list[Any]) -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    images.Images(examples, "pr", small(), 1)[1, 1]
    assert torch.equal(torch.get_rng_state(), before)


def test_image_and_image_prompt_are_cut_independently(examples: list[Any]) -> None:
    """The same file as both: over many epochs they differ in about as many as two draws would."""
    both = images.Images(examples, "pr", small(), 1)
    pairs = [both[epoch, 1] for epoch in range(1, 41)]
    same = sum(torch.equal(pair["image"], pair["reference"]) for pair in pairs)
    assert same < 10, "of 5 * 13 crops, each flipped or not"


def test_a_missing_image_prompt_is_a_tensor_of_zeros(examples: list[Any]) -> None:
    pairs = images.Images(examples, "pr", small(), 1)
    without, having = pairs[1, 0], pairs[1, 1]
    assert (float(without["present"]), float(having["present"])) == (0, 1)
    assert without["reference"].shape == having["reference"].shape == (3, 32, 32)
    assert not without["reference"].any()
    assert having["reference"].any()
    assert set(images.Images(examples, "nr", small(), 1)[1, 0]) == {"image", "score"}


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_and_without_workers(examples: list[Any], workers: int) -> None:
    machine = devices.Machine(torch.device("cpu"))
    whole = images.Images(examples, "pr", small(), 1)
    order = images.Order(whole, 1)
    order.set_epoch(4)
    batches = list(prediction.loader(whole, order, 3, machine, workers))
    assert [len(batch["score"]) for batch in batches] == [3, 3, 2], "the last one is smaller, none is dropped"
    numbers = [int(score) for batch in batches for score in batch["score"]]
    assert sorted(numbers) == list(range(8))
    found = torch.cat([batch["image"] for batch in batches])
    assert torch.equal(found, torch.stack([whole[4, number]["image"] for number in numbers]))


def test_every_epoch_has_an_order_of_its_own_and_processes_share_it(examples: list[Any]) -> None:
    whole = images.Images(examples, "nr", small(), 1)

    def numbers(epoch: int, rank: int = 0, world: int = 1) -> list[int]:
        order = images.Order(whole, 1, rank, world)
        order.set_epoch(epoch)
        assert len(order) == 8 // world
        return [number for _, number in order]

    assert numbers(1) == numbers(1)
    assert len({tuple(numbers(epoch)) for epoch in range(1, 6)}) == 5
    assert sorted(numbers(3, 0, 2) + numbers(3, 1, 2)) == list(range(8))
    assert not set(numbers(3, 0, 2)) & set(numbers(3, 1, 2))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_is_named_with_its_repair(examples: list[Any], workers: int) -> None:
    examples[5].image.write_bytes(b"no image")
    whole = images.Images(examples, "nr", small(), 1)
    batches = prediction.loader(whole, images.InTurn(8), 4, devices.Machine(torch.device("cpu")), workers)
    with pytest.raises(IntegrityFault, match=r"5\.png is no image") as caught:
        list(prediction.sound(batches))
    assert caught.value.hint == "aigiqa verify --repair any"


def test_numbers_of_several_processes_come_together_in_order() -> None:
    assert [list(images.InTurn(5, rank, 2)) for rank in (0, 1)] == [
        [(images.UNTRAINED, n) for n in (0, 2, 4)],
        [(images.UNTRAINED, n) for n in (1, 3)],
    ]
