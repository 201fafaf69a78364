"""Each library computes a convolution as float64 does; where one is not installed, the message says how to get it."""

import importlib.util
from typing import Any

import pytest

from striate.bench import peers
from striate.bench.layer import Layer
from striate.bench.peers import PEERS, Peer, chosen
from striate.bench.problem import PASSES, Pass, Problem
from striate.bench.subject import CannotDo
from striate.errors import StriateError

LAYERS = [
    Layer(in_maps=16, out_maps=32, size=(14, 10), kernel=(3, 3), padding=(1, 1)),
    Layer(in_maps=3, out_maps=20, size=(15, 17), kernel=(5, 3), stride=(2, 1), padding=(2, 0), dilation=(1, 2)),
    Layer(in_maps=24, out_maps=24, size=(9, 9), kernel=(3, 3), padding=(1, 1), groups=24),
    Layer(in_maps=8, out_maps=12, size=(8, 8), kernel=(3, 3), groups=2),
]
installed = [name for name in PEERS if PEERS[name].installed]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.key)
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_computes_what_float64_does(name: str, layer: Layer) -> None:
    if name not in installed:
        pytest.skip(f"{name} is not installed: pip install 'striate[peers]'")
    problem = Problem(layer=layer, batch=3, threads=1)
    if name == "mnn" and layer.groups == 2:
        with pytest.raises(CannotDo, match="groups"):
            PEERS[name].load()(problem)
        return
    subject = PEERS[name].load()(problem)
    subject.run()
    subject.run()
    assert problem.error(subject.result()) < 1e-4
    assert subject.takes


@pytest.mark.parametrize("which", PASSES)
def test_torch_has_all_three_passes(which: Pass) -> None:
    problem = Problem(layer=LAYERS[1], batch=2, threads=1, which=which)
    subject = PEERS["torch"].load()(problem)
    subject.run()
    assert problem.error(subject.result()) < 1e-5


@pytest.mark.parametrize("name", [name for name in PEERS if not PEERS[name].trains])
def test_a_library_without_gradients_says_so(name: str) -> None:
    if name not in installed:
        pytest.skip(f"{name} is not installed: pip install 'striate[peers]'")
    with pytest.raises(CannotDo, match="no gradient"):
        PEERS[name].load()(Problem(layer=LAYERS[0], batch=1, threads=1, which="data"))


def test_bf16_by_torch_is_near() -> None:
    problem = Problem(layer=LAYERS[0], batch=1, threads=1, precision="bf16")
    subject = PEERS["torch"].load()(problem)
    subject.run()
    assert 1e-4 < problem.error(subject.result()) < 5e-2


def test_an_unknown_peer_gets_the_nearest_name() -> None:
    with pytest.raises(StriateError, match="unknown peer 'onnxruntim'; did you mean 'onnxruntime'"):
        chosen("torch,onnxruntim")


def test_a_missing_peer_is_an_error_when_asked_for_and_a_sentence_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *args: Any) -> object:
        return None if name == "ncnn" else object()

    monkeypatch.setattr(importlib.util, "find_spec", find)
    message = "ncnn is not installed; `pip install 'striate[peers]'` brings what to compare with"
    with pytest.raises(StriateError) as raised:
        chosen("torch,ncnn")
    assert str(raised.value) == message
    found, sentences = chosen(None)
    assert [peer.name for peer in found] == [name for name in PEERS if name != "ncnn"]
    assert sentences == [message]


def test_none_may_be_asked_for() -> None:
    assert chosen("") == ([], [])


def test_every_name_is_its_key() -> None:
    assert all(isinstance(peer, Peer) and peer.name == name for name, peer in PEERS.items())
    assert peers.PEERS["ncnn"].direct is False
