"""Does decay do what it says: raise the loss that is minimised, and shrink the weights that it is meant for, only?"""

import torch

from striate.train.check.finding import Finding
from striate.train.check.subject import Subject
from striate.train.optim import build_optimizer, parameter_groups

__all__ = ["regularisation"]

STRONG = 1000.0  # times the run's decay: "crank it up, and the loss goes up"
DEFAULT = 5e-4  # decay to try with when the run has none


@torch.no_grad()
def regularisation(subject: Subject) -> Finding:
    """The loss with the penalty λ/2 ‖w‖² for growing λ; and one step of the run's optimiser with no gradient at all."""
    settings = subject.settings
    decay = settings.weight_decay or DEFAULT
    net = subject.fresh()
    images, labels = subject.batch()
    groups = parameter_groups(net, decay, decay_all=settings.decay_all)
    decayed = [p for group in groups if group["weight_decay"] for p in group["params"]]  # type: ignore[attr-defined]  # a group is a dict of anything
    loss = float(subject.task.loss(net.eval()(images), labels))
    norm = sum(float(p.double().square().sum()) for p in decayed)
    penalised = [loss + factor * decay / 2 * norm for factor in (1.0, STRONG)]
    figures = {"decay": decay, "loss": loss, "with decay": penalised[0], "with strong decay": penalised[1]}
    evidence = f"loss {loss:.3f} → {penalised[0]:.3f} with decay {decay:g}, {penalised[1]:.4g} with {STRONG * decay:g}"
    if not loss < penalised[0] < penalised[1]:
        remedy = "no parameter decays, or all of them are zero: look at requires_grad and at the first weights"
        return Finding(name="decay", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)
    moved = _shrink(subject, decay)
    figures["shrink"] = moved
    if abs(moved - 1) > 0.01:
        evidence += f"; a step without gradient shrinks the weights by {moved:.3g} of what lr · decay says"
        remedy = "the optimiser does not apply the decay as stated"
        return Finding(name="decay", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)
    share = sum(p.numel() for p in decayed) / max(1, sum(p.numel() for p in net.parameters()))
    evidence += f"; {share:.1%} of the parameters decay"
    return Finding(name="decay", verdict="ok", evidence=evidence, figures=figures)


def _shrink(subject: Subject, decay: float) -> float:
    """How much one step with zero gradients takes from the weights, in units of lr · decay · w."""
    net = subject.fresh()
    settings = subject.settings.replace(lr=0.1, weight_decay=decay, momentum=0.0, nesterov=False)
    before = {p: p.clone() for p in net.parameters()}
    optimizer = build_optimizer(net, settings)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    taken = wanted = 0.0
    for group in optimizer.param_groups:
        for p in group["params"]:
            taken += float(((before[p] - p).double() * before[p].double()).sum())
            wanted += settings.lr * group["weight_decay"] * float(before[p].double().square().sum())
    return taken / wanted if wanted else 0.0
