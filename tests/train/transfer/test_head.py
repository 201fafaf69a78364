"""A head that begins as a probe: the net's first answers are the probe's, ReLU behind the scores or not."""

import numpy as np
import pytest
import torch

from striate.data import ArraySamples, Dataset, Loader, Preprocess
from striate.errors import StriateError
from striate.nets import Net, create_model
from striate.nets.cut import INPUT
from striate.train.transfer.depth import depth_of
from striate.train.transfer.features import Way, extract
from striate.train.transfer.head import begin_as_probe
from striate.train.transfer.probes import fit_probe


@pytest.mark.parametrize(("name", "px"), [("resnet20", 16), ("squeezenet1_1", 48)])
@torch.no_grad()
def test_the_first_answers_are_the_probes(name: str, px: int, data: Dataset) -> None:
    torch.manual_seed(1)
    net = create_model(name, num_classes=3, input_size=(px, px))
    preprocess = Preprocess(channels=3, size=(px, px), mean=(0.5,) * 3, std=(0.25,) * 3)
    told = begin_as_probe(net, data.train, preprocess, workers=0)
    assert "begins as a logistic probe (C=" in told
    place = depth_of(net).scoring + INPUT
    rows = extract(net, [place], data.train, Way(preprocess=preprocess), workers=0)[place]
    linear = fit_probe("logistic", rows, data.train.labels, 3).linear
    assert linear is not None
    probe = torch.from_numpy(linear.scores(rows)).softmax(1).float()
    batch = next(iter(Loader(data.train, preprocess, batch_size=24, workers=0).epoch(0)))
    torch.testing.assert_close(net.eval()(batch.images).softmax(1), probe, atol=2e-4, rtol=1e-2)
    assert (net(batch.images).argmax(1) == batch.labels).float().mean() > 0.9


def test_the_net_is_left_in_the_mode_it_was_in(net: Net, data: Dataset) -> None:
    fresh = create_model("resnet20", num_classes=3, input_size=(16, 16)).train()
    preprocess = Preprocess(channels=3, size=(16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    begin_as_probe(fresh, data.train, preprocess, workers=0)
    assert fresh.training
    changed = [name for name, value in fresh.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["linear.weight", "linear.bias"]


def test_a_class_without_images_is_refused(data: Dataset) -> None:
    net = create_model("resnet20", num_classes=3, input_size=(16, 16))
    preprocess = Preprocess(channels=3, size=(16, 16), mean=(0.5,) * 3, std=(0.25,) * 3)
    images = data.train
    assert isinstance(images, ArraySamples)
    with pytest.raises(StriateError, match="class 2 has no images to learn from"):
        begin_as_probe(net, images.subset(np.flatnonzero(images.labels < 2)), preprocess, workers=0)
