"""Augmentation against what each of its three parts may do to a picture."""

from __future__ import annotations

import pytest
import torch

from ogive.errors import JobError
from ogive.task import Recipe
from ogive.task.augment import augment

IMAGES = torch.arange(1.0, 1 + 64 * 2 * 5 * 7).reshape(64, 2, 5, 7)  # no zeros, all different


def drawn(**recipe: object) -> torch.Tensor:
    torch.manual_seed(0)
    return augment(IMAGES, Recipe(**recipe))  # type: ignore[arg-type]


def test_a_plain_recipe_draws_nothing() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert augment(IMAGES, Recipe()) is IMAGES
    assert torch.equal(torch.get_rng_state(), before)


def test_a_flip_mirrors_some() -> None:
    flipped = drawn(flip=True)
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, IMAGES, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 20 < sum(mirrored) < 44


def test_a_shift_moves_a_picture_as_a_whole() -> None:
    seen = set()
    for moved, image in zip(drawn(shift=1), IMAGES, strict=True):
        padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
        places = [
            (y, x) for y in range(3) for x in range(3) if torch.equal(moved, padded[:, y : y + 5, x : x + 7])
        ]  # fmt: skip
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 9, "64 pictures meet each of the nine places"


def test_a_hole_is_one_square_in_all_channels() -> None:
    for cut, image in zip(drawn(cutout=3), IMAGES, strict=True):
        hole = cut == 0
        assert torch.equal(hole[0], hole[1])
        assert torch.equal(cut[~hole], image[~hole])
        rows, columns = hole[0].any(1).sum().item(), hole[0].any(0).sum().item()
        assert hole[0].sum() == rows * columns
        assert 2 <= rows <= 3
        assert 2 <= columns <= 3


def test_what_is_no_picture_and_what_is_no_amount_is_refused() -> None:
    with pytest.raises(JobError, match=r"these examples have the shape \[3\]"):
        augment(torch.zeros(4, 3), Recipe(flip=True))
    for wrong in ({"shift": -1}, {"cutout": 0.5}, {"flip": 1}):
        with pytest.raises(JobError, match=next(iter(wrong))):
            Recipe(**wrong)  # type: ignore[arg-type]
