"""The nets that people keep in Caffe's files: all of them convert, and compute what the reference computes.

Parameter counts are those of the papers or of the Model Zoo's own pages; Caffe's ResNet-50 has a bias in its first
convolution, 64 values more than torchvision's.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from striate.data import Preprocess
from striate.data.idx import read_idx
from striate.nets.caffe.convert import convert
from striate.nets.caffe.layer import layers_of
from striate.nets.caffe.read import parse_net, read_weights
from striate.nets.caffe.reference import forward
from striate.nets.weights import load_model, save_model

pytestmark = pytest.mark.shared

COUNTS = {
    "caffe-bvlc/models/bvlc_alexnet/deploy.prototxt": 60_965_224,  # Krizhevsky 2012
    "caffe-bvlc/models/bvlc_alexnet/train_val.prototxt": 60_965_224,
    "caffe-bvlc/models/bvlc_reference_caffenet/deploy.prototxt": 60_965_224,
    "caffe-bvlc/examples/net_surgery/bvlc_caffenet_full_conv.prototxt": 60_965_224,
    "caffe-bvlc/models/bvlc_googlenet/train_val.prototxt": 6_998_552,  # without the auxiliary heads
    "caffe-nin-prototxt/models/nin_imagenet/deploy.prototxt": 7_595_176,
    "caffe-resnet-prototxt/prototxt/ResNet-50-deploy.prototxt": 25_557_032 + 64,
    "caffe-resnet-prototxt/prototxt/ResNet-101-deploy.prototxt": 44_549_160,
    "caffe-resnet-prototxt/prototxt/ResNet-152-deploy.prototxt": 60_192_808,
    "squeezenet-prototxt/SqueezeNet_v1.0/deploy.prototxt": 1_248_424,
    "squeezenet-prototxt/SqueezeNet_v1.1/deploy.prototxt": 1_235_496,
    "caffe-weights-yuvval/examples/mnist/lenet.prototxt": 431_080,
}
UNSAID = {"cifar": (3, 32, 32), "mnist/": (1, 28, 28), "siamese": (2, 28, 28), "hdf5": (4, 1, 1)}


def test_every_prototxt_converts(shared_data: Path) -> None:
    found = [p for p in sorted(shared_data.rglob("*.prototxt")) if "solver" not in p.name or "consolidated" in p.name]
    assert len(found) >= 40
    with torch.device("meta"):
        for path in found:
            name = str(path.relative_to(shared_data))
            image = next((image for part, image in UNSAID.items() if part in name), None)
            made = convert(path, image=image if "deploy" not in name else None)
            if name in COUNTS:
                assert sum(p.numel() for p in made.net.parameters()) == COUNTS[name], name
            score = made.net(torch.zeros(2, made.card.in_chans, *made.card.input_size))
            assert score.shape == (2, len(made.card.classes))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "caffe-bvlc/models/bvlc_alexnet/deploy.prototxt",
        "caffe-bvlc/models/bvlc_reference_caffenet/deploy.prototxt",
        "caffe-bvlc/models/bvlc_googlenet/deploy.prototxt",
        "caffe-bvlc/examples/cifar10/cifar10_full.prototxt",
        "caffe-bvlc/examples/cifar10/cifar10_full_sigmoid_train_test_bn.prototxt",
        "caffe-bvlc/examples/mnist/mnist_autoencoder.prototxt",
        "caffe-bvlc/examples/siamese/mnist_siamese_train_test.prototxt",
        "caffe-nin-prototxt/models/nin_imagenet/deploy.prototxt",
        "caffe-resnet-prototxt/prototxt/ResNet-50-deploy.prototxt",
        "squeezenet-prototxt/SqueezeNet_v1.0/deploy.prototxt",
        "squeezenet-prototxt/SqueezeNet_v1.1/train_val.prototxt",
    ],
)
def test_with_random_numbers_equals_the_reference(model_of: Any, shared_data: Path, name: str) -> None:
    text = (shared_data / name).read_text()
    image = next((image for part, image in UNSAID.items() if part in name), None)
    prototxt, weights, blobs = model_of(text, image=image)
    made = convert(prototxt, weights, image=image, bgr=False, scale=1.0, mean=(0.0,))
    x = np.random.default_rng(0).normal(size=(1, made.card.in_chans, *made.card.input_size)).astype(np.float32)
    graph = made.net.graph
    if "siamese_train" in name:  # the second branch has the numbers of the first
        blobs |= {kind.removesuffix("_p"): own for kind, own in blobs.items()}
    wanted = forward(parse_net(text, name), blobs, graph.source_name, x, graph.output_name).reshape(1, -1)
    with torch.inference_mode():
        found = made.net(torch.from_numpy(x)).numpy()
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def digits(folder: Path) -> tuple[Tensor, Tensor]:
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz", 3).copy()
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz", 1).copy()
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels)


@pytest.mark.parametrize(("folder", "right"), [("caffe-weights-lenet-cifar", 9905), ("caffe-weights-yuvval", 9833)])
def test_lenet_reads_digits(shared_data: Path, tmp_path: Path, folder: str, right: int) -> None:
    files = shared_data / folder / "examples" / "mnist"
    made = convert(files / "lenet.prototxt", files / "lenet_iter_10000.caffemodel", scale=1 / 256)
    save_model(tmp_path / "lenet.safetensors", made.net, made.card)
    net, card = load_model(tmp_path / "lenet.safetensors")
    images, labels = digits(shared_data / "mnist")
    preprocess = Preprocess.from_dict(card.preprocess)
    some = torch.stack([preprocess.tensor(image.permute(1, 2, 0).numpy()) for image in images[:16]])
    assert torch.equal(some, images[:16].float())
    with torch.inference_mode():
        found = sum(
            int((net(x.float()).argmax(1) == y).sum())
            for x, y in zip(images.split(500), labels.split(500), strict=True)
        )
    assert abs(found - right) <= 1  # 1 for a near tie


def test_cifar10_quick_is_right_as_often_as_its_training_log_says(shared_data: Path) -> None:
    """74.91 % of all 10,000 when it was trained; so 749 ± 3 √(1000 p (1 − p)) = ± 41 of the first 1,000."""
    files = shared_data / "caffe-weights-lenet-cifar" / "examples" / "cifar10"
    made = convert(
        files / "cifar10_quick.prototxt",
        files / "cifar10_quick_iter_5000.caffemodel",
        mean=files / "mean.binaryproto",
        bgr=False,
    )
    folder = shared_data / "cifar10-lossless"
    rows = np.asarray(Image.open(folder / "cifar10_batch_50.png")).reshape(1000, 32, 32, 3)
    labels = [int(line) for line in (folder / "labels.txt").read_text().split()[50_000:51_000]]
    with torch.inference_mode():
        found = made.net(torch.from_numpy(rows.transpose(0, 3, 1, 2).copy()).float()).argmax(1)
    assert abs(int((found == torch.tensor(labels)).sum()) - 749) <= 41
    assert {row.status for row in made.layers} == {"matched", "computes", "left out: the net gives scores"}


def test_real_weights_equal_the_reference_on_real_digits(shared_data: Path) -> None:
    files = shared_data / "caffe-weights-lenet-cifar" / "examples" / "mnist"
    made = convert(files / "lenet.prototxt", files / "lenet_iter_10000.caffemodel", scale=1 / 256)
    blobs = {
        layer.name: layer.blobs("lenet") for layer in layers_of(read_weights(files / "lenet_iter_10000.caffemodel"))
    }
    images, _ = digits(shared_data / "mnist")
    x = images[:8].numpy() / 256
    wanted = forward(parse_net((files / "lenet.prototxt").read_text(), "lenet"), blobs, "data", x, "ip2")
    with torch.inference_mode():
        found = made.net(images[:8].float()).numpy()
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_squeezenet_equals_its_stored_answers(shared_data: Path, tmp_path: Path, write_caffemodel: Any) -> None:
    """SqueezeNet 1.1 as another framework trained it, one array a file, through the prototxt of its authors."""
    folder = shared_data / "squeezenet-webnn" / "models" / "squeezenet1.1_nchw"
    prototxt = shared_data / "squeezenet-prototxt" / "SqueezeNet_v1.1" / "deploy.prototxt"
    image = (3, 224, 224)
    with torch.device("meta"):
        calls = convert(prototxt, image=image).net.calls
    convolutions = [call.layer.name for call in calls if call.layer.type == "Convolution"]
    blobs = {
        name: [np.load(folder / "weights" / f"squeezenet0_conv{i}_{kind}.npy") for kind in ("weight", "bias")]
        for i, name in enumerate(convolutions)
    }
    net = convert(prototxt, write_caffemodel(blobs), image=image, bgr=False).net
    for pair in sorted((folder / "test_data_set").iterdir()):
        x, wanted = (np.load(pair / f"{kind}_0.npy") for kind in ("input", "output"))
        with torch.inference_mode():
            found = net(torch.from_numpy(x).reshape(1, *image)).numpy().reshape(-1)
        assert np.abs(found - wanted.reshape(-1)).max() <= 1e-4 * np.abs(wanted).max()
