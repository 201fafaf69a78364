"""A Caffe net as a net of ours: image, features, head, scores.

Its settings are the prototxt's own text and what Caffe keeps outside of it, so a model file of it needs no other file.
The softmax is left out, as everywhere here. A net that is convolutional to its end gives a map of scores for an image
larger than it was made for; the scores are its mean (dense evaluation, Simonyan 2014, §3.2).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.caffe.assemble import Call, assemble
from striate.nets.caffe.fillers import fill
from striate.nets.caffe.graph import Graph, wire
from striate.nets.caffe.image import CaffeInput, Mean
from striate.nets.caffe.layer import Layer
from striate.nets.caffe.messages import message_class
from striate.nets.caffe.operations import BatchNorm
from striate.nets.caffe.read import parse_net
from striate.nets.net import Net, NetSpec

__all__ = ["CaffeNet", "parameter_groups"]

MOST_PARAMETERS = 1 << 30  # 4 GiB of them; VGG-19 has 144 million. A prototxt can claim any number in one line


class CaffeNet(Net):
    """x [N, C, H, W], RGB or grey, in units of bytes → features → scores [N, num_classes].

    Settings: the text of the prototxt; `bgr` reverses the order of channels, `mean` says what is subtracted (a buffer,
    `input.mean`), `scale` is multiplied then; `output` is the blob to give, by default the last; `test_stages` are the
    stages that rules of the prototxt ask for. With another `num_classes` than the prototxt's, its last layer that
    learns has that many outputs. Begins as the prototxt's fillers say.
    """

    fixed_size = True

    def __init__(
        self,
        spec: NetSpec,
        *,
        prototxt: str = "",
        bgr: bool = False,
        mean: Mean = "none",
        scale: float = 1.0,
        output: str = "",
        test_stages: Sequence[str] = (),
    ) -> None:
        super().__init__(spec)
        if not prototxt:
            raise StriateError("a caffe net is built from a prototxt: convert one with `striate convert`")
        where = "the prototxt"
        self.graph: Graph = wire(parse_net(prototxt, where), where, output=output, stages=test_stages)
        image = (spec.in_chans, *spec.input_size)
        assembly = assemble(self.graph, image, where, prefix="layers.")
        if assembly.shapes[self.graph.output][1:2] != (spec.num_classes,):
            assembly = assemble(self.graph, image, where, num_classes=spec.num_classes, prefix="layers.")
        given = assembly.shapes[self.graph.output]
        if len(given) not in (2, 4) or given[1] != spec.num_classes:
            raise StriateError(f"{where} gives {'×'.join(map(str, given[1:]))}, not {spec.num_classes} scores")
        with torch.device("meta"):
            self.input = CaffeInput(spec.in_chans, spec.input_size, bgr=bgr, mean=mean, scale=scale)
        self.layers = nn.Module()
        for key, module in assembly.modules.items():
            self.layers.add_module(key, module)
        self.calls: tuple[Call, ...] = assembly.calls
        self._cut, self._seen = assembly.cut, assembly.seen
        self.stages = assembly.stages
        self.train()
        device = torch.get_default_device()
        if device.type != "meta":
            count = sum(parameter.numel() for parameter in self.parameters())
            if count > MOST_PARAMETERS:
                raise StriateError(
                    f"{where} asks for {count:,} parameters, more than any net here ({MOST_PARAMETERS:,})"
                )
            self.to_empty(device=device)
            self._begin()

    def features(self, x: Tensor) -> Tensor:
        """What the last layer that learns sees."""
        blobs: dict[int, Tensor] = {self.graph.source: self.input(x)}
        self._run(self.calls[: self._cut], blobs)
        return blobs[self._seen]

    def head(self, f: Tensor) -> Tensor:
        """Scores [N, num_classes] from the features."""
        blobs = {self._seen: f}
        self._run(self.calls[self._cut :], blobs)
        scores = blobs[self.graph.output]
        return scores.mean((2, 3)) if scores.ndim == 4 else scores

    def _run(self, calls: Sequence[Call], blobs: dict[int, Tensor]) -> None:
        for call in calls:
            given = self.layers.get_submodule(call.key)(*(blobs[bottom] for bottom in call.bottoms))
            for blob in call.done:
                del blobs[blob]
            blobs.update(zip(call.tops, given if isinstance(given, tuple) else (given,), strict=True))

    def _begin(self) -> None:
        """Every parameter as its filler says; statistics and means as if nothing had been seen."""
        for buffer in self.input.buffers():
            nn.init.zeros_(buffer)
        for call in self.calls:
            module = self.layers.get_submodule(call.key)
            if isinstance(module, BatchNorm):
                nn.init.zeros_(module.running_mean)
                nn.init.ones_(module.running_var)
            for name, parameter in module.named_parameters(recurse=False):
                fill(parameter, _filler(call.layer, name))


def parameter_groups(net: CaffeNet, *, lr: float, weight_decay: float) -> list[dict[str, object]]:
    """Groups for an optimiser in which every blob has its own multiple of rate and decay, as the prototxt says."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen: set[nn.Parameter] = set()
    for call in net.calls:
        for i, parameter in enumerate(net.layers.get_submodule(call.key).parameters()):
            if parameter in seen:
                continue
            seen.add(parameter)
            multiples = tuple(of[i] if i < len(of) else 1.0 for of in (call.layer.lr_mult, call.layer.decay_mult))
            groups.setdefault((multiples[0], multiples[1]), []).append(parameter)
    return [
        {"params": parameters, "lr": lr * rate, "weight_decay": weight_decay * decay}
        for (rate, decay), parameters in groups.items()
    ]


def _filler(layer: Layer, name: str) -> object:
    """The FillerParameter of a layer's weight or bias, with the defaults that differ from a constant zero."""
    if layer.type == "PReLU":
        own = layer.settings("prelu")
        return own.filler if own.HasField("filler") else _constant(0.25)
    if layer.type == "Bias":
        return layer.settings("bias").filler
    if layer.type == "Scale":
        own = layer.settings("scale")
        if name == "bias":
            return own.bias_filler
        return own.filler if own.HasField("filler") else _constant(1.0)
    own = layer.settings("inner_product" if layer.type == "InnerProduct" else "convolution")
    return own.weight_filler if name == "weight" else own.bias_filler


def _constant(value: float) -> object:
    return message_class("FillerParameter")(type="constant", value=value)
