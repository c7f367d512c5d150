"""Augmentation: shifts, flips and cutout."""

from __future__ import annotations

import pytest
import torch

from ogive.errors import JobError
from ogive.task import Recipe
from ogive.task.augment import augment

IMAGES = torch.arange(1.0, 1 + 64 * 2 * 5 * 7).reshape(64, 2, 5, 7)  # no zeros, all different


def augmented(**recipe: object) -> torch.Tensor:
    torch.manual_seed(0)
    return augment(IMAGES, Recipe(**recipe))  # type: ignore[arg-type]


def test_a_recipe_without_augmentation_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert augment(IMAGES, Recipe()) is IMAGES
    assert torch.equal(torch.get_rng_state(), before)


def test_half_of_the_images_are_flipped() -> None:
    flipped = augmented(flip=True)
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, IMAGES, strict=True)]
    unchanged = [torch.equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(m != u for m, u in zip(mirrored, unchanged, strict=True))
    assert 20 < sum(mirrored) < 44


def test_a_shift_moves_the_whole_image() -> None:
    offsets = set()
    for moved, image in zip(augmented(shift=1), IMAGES, strict=True):
        padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
        matches = [
            (y, x) for y in range(3) for x in range(3) if torch.equal(moved, padded[:, y : y + 5, x : x + 7])
        ]  # fmt: skip
        assert len(matches) == 1
        offsets.add(matches[0])
    assert len(offsets) == 9, "all nine offsets occur among 64 images"


def test_cutout_is_the_same_square_in_all_channels() -> None:
    for cut, image in zip(augmented(cutout=3), IMAGES, strict=True):
        hole = cut == 0
        assert torch.equal(hole[0], hole[1])
        assert torch.equal(cut[~hole], image[~hole])
        rows, columns = hole[0].any(1).sum().item(), hole[0].any(0).sum().item()
        assert hole[0].sum() == rows * columns
        assert 2 <= rows <= 3
        assert 2 <= columns <= 3


def test_examples_that_are_not_images_and_invalid_settings_are_errors() -> None:
    with pytest.raises(JobError, match=r"the examples have the shape \[3\]"):
        augment(torch.zeros(4, 3), Recipe(flip=True))
    for wrong in ({"shift": -1}, {"cutout": 0.5}, {"flip": 1}):
        with pytest.raises(JobError, match=next(iter(wrong))):
            Recipe(**wrong)  # type: ignore[arg-type]
