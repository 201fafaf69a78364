"""How a net begins: what it is shown, the loss of its first guess, and what its layers put out."""

import math
from typing import Literal, TypeAlias

import torch
from torch import nn

from striate.train.check.finding import Finding
from striate.train.check.subject import Subject
from striate.train.watch.activations import Activations, LayerActivations, is_layer, is_nonlinearity

__all__ = ["Health", "activations", "health", "initial_loss", "inputs", "layers_at_start"]

Health: TypeAlias = Literal["fine", "dying", "exploding", "saturated", "dead", "broken"]

FADED, GROWN = 1 / 20, 20.0  # times the deviation of the images: four halvings or doublings of it, and what nets with
# sums of branches (√depth) come to, are well inside; ten layers of ReLU under Xavier's weights are outside
MOSTLY = 0.5  # of a layer: so many saturated values or dead units


def inputs(subject: Subject) -> Finding:
    """Are the images centred, and of the size that initialisations count on?"""
    mean, deviation = float(subject.images.mean()), float(subject.images.std())
    figures = {"mean": mean, "deviation": deviation, "images": len(subject.images)}
    evidence = f"mean {mean:+z.2f}, deviation {deviation:.2f} over {len(subject.images):,} images"
    if not math.isfinite(mean + deviation):
        return Finding(name="inputs", verdict="failed", evidence=evidence, remedy="look at the data", figures=figures)
    if abs(mean) <= 0.5 * deviation and 0.3 <= deviation <= 3:
        return Finding(name="inputs", verdict="ok", evidence=evidence, figures=figures)
    remedy = "normalise by these data's own mean and deviation"
    return Finding(name="inputs", verdict="warning", evidence=evidence, remedy=remedy, figures=figures)


@torch.no_grad()
def initial_loss(subject: Subject) -> Finding:
    """Is the first loss that of a guess, −log(1/C)?"""
    images, labels = subject.batch(256)
    net = subject.fresh()
    if subject.trained:
        net.eval()
    loss, guess = float(subject.task.loss(net(images), labels)), math.log(subject.classes)
    figures = {"loss": loss, "expected": guess, "images": len(images)}
    said = f"the first loss is {loss:.3f}, and −log(1/{subject.classes}) is {guess:.3f}"
    if subject.trained:
        return Finding(name="loss", verdict="ok", evidence=f"{said}: trained weights", figures=figures)
    # Scores of deviation s cost s²/2 nats above the guess: 0.5 is s = 1, more than a linear layer makes of unit inputs
    if abs(loss - guess) <= max(0.5, 0.3 * guess):
        return Finding(name="loss", verdict="ok", evidence=said, figures=figures)
    remedy = (
        "the scores begin too large: make the output layer's weights smaller, or --init he"
        if not loss < guess
        else "an untrained net that knows the answer: look for the label in its inputs"
    )
    bad = not loss < 2 * guess or loss < guess
    return Finding(name="loss", verdict="failed" if bad else "warning", evidence=said, remedy=remedy, figures=figures)


def activations(subject: Subject) -> Finding:
    """Does the signal reach the end of the net, at about the size it had at the beginning?"""
    images, _ = subject.batch(64)
    layers = layers_at_start(subject.fresh() if not subject.trained else subject.fresh().eval(), images)
    if not layers:
        return Finding(name="activations", verdict="skipped", evidence="the net has no layer that could be read")
    size = float(images.std())
    told = [(layer, health(layer, size)) for layer in layers]
    figures = {
        "images": len(images),
        "input deviation": size,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "mean": layer.mean,
                "deviation": layer.deviation,
                "zeros": layer.zeros,
                "dead": layer.dead,
                "saturated": layer.saturated,
                "low": layer.histogram.low,
                "high": layer.histogram.high,
                "counts": list(layer.histogram.counts),
                "health": state,
            }
            for layer, state in told
        ],
    }
    sick = [(layer, state) for layer, state in told if state != "fine"]
    if not sick:
        ends = (
            f"deviation {layers[0].deviation:.2g} in {layers[0].name}, {layers[-1].deviation:.2g} in {layers[-1].name}"
        )
        evidence = f"fine: {ends}, {len(layers)} layers"
        return Finding(name="activations", verdict="ok", evidence=evidence, figures=figures)
    layer, state = sick[0]
    evidence = f"{state} from {layer.name} on: {_symptom(layer, state, size)}; {len(sick)} of {len(layers)} layers"
    verdict: Literal["failed", "warning"] = "warning" if state == "dead" and len(sick) == 1 else "failed"
    return Finding(name="activations", verdict=verdict, evidence=evidence, remedy=_REMEDIES[state], figures=figures)


_REMEDIES: dict[Health, str] = {
    "fine": "",
    "dying": "weights are too small for this depth: --init he for rectifiers, xavier for tanh, or lsuv; or batch norm",
    "exploding": "weights are too large for this depth: --init he for rectifiers, xavier for tanh, or lsuv",
    "saturated": "weights are too large: --init xavier, or a rectifier for the activation",
    "dead": "units that no image wakes: smaller or centred inputs, --init he, or a leaky rectifier",
    "broken": "values that are no numbers: look at this layer and at its inputs",
}


@torch.no_grad()
def layers_at_start(net: nn.Module, images: torch.Tensor) -> tuple[LayerActivations, ...]:
    """What leaves each activation function for these images; each layer, where the net has fewer than two of them."""
    several = sum(map(is_nonlinearity, net.modules())) >= 2
    with Activations(net, of=is_nonlinearity if several else is_layer) as seen:
        net(images)
    layers = seen.layers()
    return layers if several else layers[:-1] or layers  # the last gives scores, whose size is another question


def health(layer: LayerActivations, input_deviation: float) -> Health:
    """A word for a layer, by what it puts out for images of this deviation."""
    if layer.broken > 0 or not math.isfinite(layer.deviation):
        return "broken"
    if layer.saturated is not None and layer.saturated > MOSTLY:
        return "saturated"
    if layer.deviation > GROWN * input_deviation:
        return "exploding"
    if layer.deviation < FADED * input_deviation:
        return "dying"
    return "dead" if layer.dead is not None and layer.dead > MOSTLY else "fine"


def _symptom(layer: LayerActivations, state: Health, size: float) -> str:
    if state == "saturated":
        return f"{layer.saturated:.0%} of its values are in the flat ends"
    if state == "dead":
        return f"{layer.dead:.0%} of its units never fire"
    if state == "broken":
        return f"{layer.broken:.0%} of its values are no numbers"
    return f"deviation {layer.deviation:.2g}, and the images have {size:.2g}"
