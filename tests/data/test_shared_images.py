"""Real files made by others: EXIF turns, odd JPEGs, 16-bit slices, whole data sets."""

import io

import numpy as np
import pytest
from PIL import Image

from striate import data
from striate.data.badimage import BadImage
from striate.data.classnames import CIFAR10
from striate.data.decoding import decode

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_all_exif_orientations_show_one_scene(shared_data, shape):
    """The variants were compressed one by one, so they differ by JPEG noise; a wrong turn differs by tens of levels."""
    upright = decode((shared_data / f"exif-orientation/{shape}_1.jpg").read_bytes(), 3, "").astype(int)
    for orientation in range(9):
        path = shared_data / f"exif-orientation/{shape}_{orientation}.jpg"
        pixels = decode(path.read_bytes(), 3, path.name)
        assert pixels.shape == upright.shape
        assert np.abs(pixels - upright).mean() < 5, path.name
        assert np.abs(pixels[::-1, ::-1] - upright).mean() > 30, "the picture is too symmetrical to tell"


# A progressive file whose last scan breaks off: another decoder accepts it, here an incomplete file is refused.
INCOMPLETE = {"partial_progressive.jpg"}


def test_odd_jpegs_match_their_truth(shared_data):
    files = sorted((shared_data / "jpeg-decoder-tests").rglob("*.jpg"))
    assert len(files) > 35
    for path in files:
        encoded = path.read_bytes()
        if path.name in INCOMPLETE:
            with pytest.raises(BadImage, match="is damaged"):
                decode(encoded, 3, path.name)
            continue
        pixels = decode(encoded, 3, path.name)
        truth = path.with_suffix(".png")
        if truth.exists():
            # Two of the truths are 16-bit PNGs, which Pillow alone would clip to white: `decode` scales them.
            off = np.abs(pixels - decode(truth.read_bytes(), 3, truth.name).astype(int))
            assert off.max() <= 3, path.name  # two decoders' rounding of DCT and colour
        if encoded.startswith(b"\xff\xd8"):  # one of them is a PNG under the name of a JPEG
            np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")), path.name)


def test_microscope_slices(shared_data):
    files = sorted((shared_data / "isbi-membrane").rglob("*.png"))
    assert len(files) == 60
    for path in files:
        with Image.open(path) as image:
            np.testing.assert_array_equal(decode(path.read_bytes(), 1, path.name)[..., 0], np.asarray(image))


def test_cifar10_zip_is_opened_as_it_is(shared_data):
    path = shared_data / "cifar10-jpg" / "cifar10-jpg.zip"
    cifar = data.open(path, check=False)
    assert cifar.classes == CIFAR10
    assert (len(cifar.train), len(cifar.val), len(cifar.test)) == (45000, 5000, 10000)
    assert set(data.class_counts(cifar.test, cifar.classes).values()) == {1000}
    assert set(data.class_counts(cifar.val, cifar.classes).values()) == {500}
    assert cifar.train.pixels(0, 3).shape == (32, 32, 3)
    assert cifar.train.name(0).startswith(f"{path}/train/airplane/")
    assert cifar.mirror
    assert not cifar.notes


def test_mnist(shared_data):
    """Counts per class as published (LeCun et al., and every copy of the set since)."""
    mnist = data.open(shared_data / "mnist")
    assert (len(mnist.train), len(mnist.val), len(mnist.test)) == (54000, 6000, 10000)
    everything = [data.class_counts(part, mnist.classes) for part in (mnist.train, mnist.val)]
    training = [everything[0][c] + everything[1][c] for c in mnist.classes]
    assert training == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    testing = list(data.class_counts(mnist.test, mnist.classes).values())
    assert testing == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train.images.shape == (54000, 28, 28, 1)
    assert not mnist.mirror
    by_name = data.open("mnist", data_dir=shared_data, download=False)
    np.testing.assert_array_equal(by_name.val.images, mnist.val.images)


def test_ants_and_bees_have_no_test_part_and_their_clutter_is_ignored(shared_data):
    ants_bees = data.open(shared_data / "ants-bees")
    assert ants_bees.classes == ("ants", "bees")
    assert ants_bees.test is None
    assert (len(ants_bees.train), len(ants_bees.val)) == (245, 152)
    assert not ants_bees.notes


def test_sign_digits_are_split(shared_data):
    signs = data.open(shared_data / "sign-digits")
    assert signs.classes == tuple("0123456789")
    assert len(signs.train) + len(signs.val) + len(signs.test) == 2062
    for part, share in ((signs.test, 0.2), (signs.val, 0.08)):
        assert len(part) == pytest.approx(2062 * share, abs=1.5)
        counts = data.class_counts(part, signs.classes).values()
        assert max(counts) - min(counts) <= 2
    assert not signs.mirror  # single characters: not worth the risk of turning a 2 over
