"""Weights of one net into another that differs from it in what transfer changes, and in nothing else.

Three differences are expected, made up for, and said: another number of classes (the layer that gives the scores keeps
its fresh weights), grey images for a net that saw colour (the filters of its first layer are summed over the channels,
which is what the old net computes for a grey image given three times), and auxiliary heads that the net is built
without. Anything else is refused elsewhere.
"""

from torch import Tensor, nn

from striate.nets.net import Net

__all__ = ["adapted", "classes_in"]

COLOURS = 3
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of GoogLeNet and Inception-v3 that only train


def adapted(net: Net, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`tensors` as `net` can take them, and what was changed, in a sentence each."""
    state = net.state_dict()
    found, notes = dict(tensors), []
    scoring = _scoring(net, tensors)
    if scoring:
        had = len(tensors[f"{scoring[0]}.weight"])
        for layer in scoring:
            found |= {name: state[name] for name in (f"{layer}.weight", f"{layer}.bias") if name in state}
        notes.append(
            f"{', '.join(scoring)} begins anew: the weights know {had} classes and the net has {net.spec.num_classes}"
        )
    for name, tensor in tensors.items():
        wanted = state[name].shape if name in state else ()
        coloured = tensor.ndim == 4 and tensor.shape[1] == COLOURS
        if coloured and net.spec.in_chans == 1 and wanted == (len(tensor), 1, *tensor.shape[2:]):
            found[name] = tensor.sum(1, keepdim=True)
            notes.append(f"{name} is summed over its {COLOURS} channels: the net takes grey images")
    heads = [name for name in tensors if name.startswith(AUXILIARY) and name not in state]
    if heads and not any(name.startswith(AUXILIARY) for name in state):
        found = {name: tensor for name, tensor in found.items() if name not in heads}
        notes.append("the auxiliary heads of the weights are left out: the net has none")
    return found, tuple(notes)


def classes_in(net: Net, tensors: dict[str, Tensor]) -> int:
    """How many classes the weights `tensors` tell apart, which may be others than `net` was built for."""
    scoring = _scoring(net, tensors)
    return len(tensors[f"{scoring[0]}.weight"]) if scoring else net.spec.num_classes


def _scoring(net: Net, tensors: dict[str, Tensor]) -> list[str]:
    """The layers that give scores, when the file has them for one other number of classes; else none."""
    layers = [
        name
        for name, module in net.named_modules()
        if isinstance(weight := getattr(module, "weight", None), nn.Parameter)
        and weight.ndim > 1
        and len(weight) == net.spec.num_classes
        and f"{name}.weight" in tensors
        and len(tensors[f"{name}.weight"]) != net.spec.num_classes
        and tensors[f"{name}.weight"].shape[1:] == weight.shape[1:]
    ]
    counts = {len(tensors[f"{name}.weight"]) for name in layers}
    return layers if len(counts) == 1 else []
