"""Weights that others trained, in our nets, on real pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from striate.evaluate import Predictor
from striate.nets import create_model
from striate.nets.imported import import_weights
from striate.nets.trained import read_classes
from striate.nets.weights import save_model

pytestmark = pytest.mark.shared


def test_squeezenet_equals_its_stored_answers(shared_data: Path) -> None:
    """SqueezeNet 1.1, one array a file, and three pairs of input and output of the framework it was trained in."""
    folder = shared_data / "squeezenet-webnn" / "models" / "squeezenet1.1_nchw"
    net = create_model("squeezenet1_1").eval()
    names = list(net.state_dict())  # a weight and a bias for each of 26 convolutions, in the order of the net
    arrays = [
        np.load(folder / "weights" / f"squeezenet0_conv{i // 2}_{'bias' if i % 2 else 'weight'}.npy")
        for i in range(len(names))
    ]
    net.load_state_dict({name: torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)})
    for pair in sorted((folder / "test_data_set").iterdir()):
        x, wanted = (np.load(pair / f"{kind}_0.npy") for kind in ("input", "output"))
        with torch.inference_mode():
            found = net(torch.from_numpy(x).reshape(1, 3, 224, 224)).numpy().reshape(-1)
        assert np.abs(found - wanted.reshape(-1)).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.slow
def test_squeezenet_names_photographs(shared_data: Path, tmp_path: Path) -> None:
    """57 of 84 right and 73 among five, where they were counted before (torchvision's net, weights rounded to fp16).

    Their resizing is another, so a near tie may fall otherwise: 1 either way.
    """
    folder = shared_data / "repackaged-imagenet"
    path = folder / "squeezenet1_1-torchvision-fp16rounded.pth"
    classes = read_classes(folder / "synset_words.txt")
    numbers = [line.split()[0] for line in (folder / "synset_words.txt").read_text().splitlines() if line.strip()]
    made = import_weights(path, "squeezenet1_1", classes=classes, resize=(256, 256))
    save_model(tmp_path / "squeezenet.safetensors", made.net, made.card)
    photographs = sorted((shared_data / "imagenet-sample-1000").glob("*.JPEG"))
    assert len(photographs) == 84
    first = among = 0
    for photograph, prediction in zip(
        photographs, Predictor(tmp_path / "squeezenet.safetensors").predict(photographs), strict=True
    ):
        wanted = classes[numbers.index(photograph.name.split("_")[0])]
        called = [name for name, _ in prediction.top]
        first += called[0] == wanted
        among += wanted in called
    assert abs(first - 57) <= 1
    assert abs(among - 73) <= 1


def test_a_cifar_resnet_as_it_circulates(shared_data: Path) -> None:
    """Names under `state_dict` and behind `module.`; `test_cifar_weights` counts how often it is right."""
    path = shared_data / "resnet-cifar10-th" / "pretrained_models" / "resnet20-12fca82f.th"
    held = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    net = create_model("resnet20", num_classes=10, pretrained=path)
    assert net.notes == ()
    assert torch.equal(net.linear.weight, held["module.linear.weight"])
    assert torch.equal(net.layer3[2].bn2.running_var, held["module.layer3.2.bn2.running_var"])
    transferred = create_model("resnet20", num_classes=2, in_chans=1, pretrained=path)
    assert len(transferred.notes) == 2
