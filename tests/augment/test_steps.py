"""What no matrix can do: against Pillow and SciPy, and by its own law where neither has it."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from striate.augment import Cutout, GaussianNoise, Policy, RandomErasing
from striate.augment.noise import Unbiased
from striate.augment.scene import Step
from striate.augment.steps import STEPS, apply_steps
from striate.data import Preprocess
from striate.errors import StriateError


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:40, 0:56]
    smooth = 100 + 60 * np.sin(x / 9)[..., None] + 40 * np.cos(y / 7)[..., None]
    return np.clip(smooth + rng.normal(0, 10, (40, 56, 3)), 0, 255).astype(np.uint8)


def run(kind: str, image: np.ndarray, *numbers: float) -> np.ndarray:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    step = Step(kind, np.array([0]), np.array([numbers], np.float64).reshape(1, -1))
    apply_steps(batch, [step], torch.zeros(image.shape[2]))
    return batch[0].permute(1, 2, 0).numpy()


def test_equalize_is_pillows(photo):
    assert np.array_equal(run("equalize", photo), np.asarray(ImageOps.equalize(Image.fromarray(photo))))
    flat = np.full((4, 5, 3), 77, np.uint8)
    assert np.array_equal(run("equalize", flat), flat)


def test_autocontrast_is_pillows(photo):
    squeezed = (photo // 3 + 20).astype(np.uint8)
    theirs = np.asarray(ImageOps.autocontrast(Image.fromarray(squeezed)), float)
    assert abs(run("autocontrast", squeezed) - theirs).max() <= 1
    flat = np.full((4, 5, 3), 77, np.uint8)
    assert np.array_equal(run("autocontrast", flat), flat)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_posterize_is_pillows(photo, bits):
    assert np.array_equal(run("posterize", photo, bits), np.asarray(ImageOps.posterize(Image.fromarray(photo), bits)))


@pytest.mark.parametrize("threshold", [0, 100, 256])
def test_solarize_is_pillows(photo, threshold):
    theirs = np.asarray(ImageOps.solarize(Image.fromarray(photo), threshold))
    assert np.array_equal(run("solarize", photo, threshold), theirs)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.9])
def test_sharpness_is_pillows(photo, factor):
    theirs = np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(factor), float)
    assert abs(run("sharpness", photo, factor) - theirs).max() <= 1.5
    assert np.array_equal(run("sharpness", photo[:2], factor), photo[:2])


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_scipys(photo, sigma):
    for image in (photo, photo[:2, :3]):
        theirs = ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="reflect", truncate=3.0 + 1e-9)
        assert abs(run("blur", image, sigma) - theirs).max() < 0.75  # one rounds 3σ up, one to the nearest


def test_gamma(photo):
    assert run("gamma", photo, 2.0) == pytest.approx(255 * (photo / 255.0) ** 2, abs=1e-3)
    assert run("gamma", photo, 1.0) == pytest.approx(photo, abs=1e-4)


def test_steps_touch_their_rows_only_and_stay_in_bytes():
    batch = torch.rand((4, 3, 6, 7)) * 255
    before = batch.clone()
    for kind in STEPS:
        numbers = {"erase": [1, 1, 2, 3], "grain": [30.0, 1, 2]}.get(kind, [1.3])
        apply_steps(batch, [Step(kind, np.array([1, 3]), np.array([numbers, numbers], np.float64))], torch.ones(3))
    assert torch.equal(batch[[0, 2]], before[[0, 2]])
    assert not torch.equal(batch[[1, 3]], before[[1, 3]])
    assert batch.min() >= 0
    assert batch.max() <= 255


def rectangles(policy: Policy, count: int, out: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    sizes, frames = np.full((count, 2), 8, np.int32), np.tile(np.eye(3), (count, 1, 1))
    (step,) = policy.draws(0, 0, np.arange(count), sizes, out, frames).steps
    return step.rows, step.numbers


def test_erased_rectangles_have_their_area_and_every_place():
    rows, numbers = rectangles(Policy((RandomErasing(0.3, (0.1, 0.2), (1, 1)),)), 20_000, (50, 60))
    assert len(rows) == pytest.approx(6000, abs=4.9 * math.sqrt(20_000 * 0.21))
    top, left, height, width = numbers.T
    assert (height * width).mean() / 3000 == pytest.approx(0.15, abs=0.003)
    assert (top.min(), left.min(), (top + height).max(), (left + width).max()) == (0, 0, 50, 60)


def test_cutout_is_centred_on_any_pixel(assert_uniform):
    _, numbers = rectangles(Policy((Cutout(3),)), 20_000, (5, 6))
    bottom, right = numbers[:, 0] + numbers[:, 2], numbers[:, 1] + numbers[:, 3]
    centre = np.where(numbers[:, 2:] == 3, numbers[:, :2] + 1, np.where(numbers[:, :2] == 0, 0, [[4, 5]]))
    assert_uniform((centre[:, 0] * 6 + centre[:, 1]).astype(int), 30)
    assert (bottom.max(), right.max()) == (5, 6)
    image = np.full((5, 6, 1), 9, np.uint8)
    erased = run("erase", image, 1, 2, 3, 3)
    assert erased[1:4, 2:5].max() == 0
    assert (erased == 9).sum() == 30 - 9


def test_grain_is_normal_independent_and_a_function_of_its_words():
    sizes, frames = np.full((2, 2), 8, np.int32), np.tile(np.eye(3), (2, 1, 1))
    policy = Policy((GaussianNoise((10, 10)),))
    drawn = policy.draws(0, 0, np.arange(2), sizes, (200, 250), frames)
    images = torch.full((2, 3, 200, 250), 128.0)
    policy.apply_steps(images, drawn)
    grain = (images - 128).reshape(2, -1).double().numpy()
    assert grain.std(1) == pytest.approx([10, 10], rel=4.9 / math.sqrt(2 * 150_000))
    assert abs(np.corrcoef(grain)[0, 1]) < 4.9 / math.sqrt(150_000)
    again = torch.full((1, 3, 200, 250), 128.0)
    policy.apply_steps(again, policy.draws(0, 0, np.array([1]), sizes[:1], (200, 250), frames[:1]))
    assert torch.equal(again[0], images[1])


def test_a_noise_says_whether_it_takes_steps(every_noise):
    """What is normalised apart is decided by that, and not by what was drawn for a few samples."""
    sizes, out = np.full((300, 2), 48, np.int32), (36, 36)
    drawn = Policy((every_noise,)).draws(0, 0, np.arange(300), sizes, out, np.tile(np.eye(3), (300, 1, 1)))
    assert Policy((every_noise,)).stepping == type(every_noise).steps == bool(drawn.steps)


def test_a_step_that_was_not_announced():
    class Sly(Unbiased):
        stream = 200

        def draw(self, scene, words):
            scene.step("gamma", np.arange(len(scene)), np.ones((len(scene), 1)))

    with pytest.raises(StriateError, match="Policy: Sly takes steps; say so in its class, `steps = True`"):
        Policy((Sly(),)).draws(0, 0, np.arange(2), np.full((2, 2), 8, np.int32), (8, 8), np.tile(np.eye(3), (2, 1, 1)))


def test_where_images_lie_on_a_device_too_company_changes_nothing():
    policy = Policy((RandomErasing(p=0.5),))
    images = torch.randint(0, 256, (16, 20, 20, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scale, shift, fill = torch.tensor([0.017, 0.0171, 0.0172]), torch.tensor([-2.1, -2.0, -1.8]), torch.zeros(3)

    def warped(rows):
        sizes = np.full((len(rows), 2), 20, np.int32)
        drawn = policy.draws(0, 0, rows, sizes, (20, 20), np.tile(np.eye(3), (len(rows), 1, 1)))
        return policy.warp(images, torch.from_numpy(rows), drawn, scale, shift, fill, (20, 20))

    together = warped(np.arange(16))
    assert all(torch.equal(warped(np.array([i]))[0], together[i]) for i in range(16))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_torchs_default_type_changes_nothing(photo, dtype):
    numbers = {"erase": [2, 3, 5, 4], "grain": [3.0, 1, 2]}
    steps = [Step(kind, np.array([0]), np.array([numbers.get(kind, [1.5])], np.float64)) for kind in sorted(STEPS)]
    images = torch.from_numpy(photo.astype(np.float32)).permute(2, 0, 1)[None].contiguous()
    expected, found = images.clone(), images.clone()
    apply_steps(expected, steps, torch.full((3,), 9.0))
    torch.set_default_dtype(dtype)
    try:
        apply_steps(found, steps, torch.full((3,), 9.0, dtype=torch.float32))
        tensor = Preprocess(channels=3, size=(8, 8), mean=(0.5,) * 3, std=(0.2,) * 3).tensor(
            np.zeros((8, 8, 3), np.uint8)
        )
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)
    assert tensor.dtype == torch.float32
