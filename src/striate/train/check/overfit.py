"""Can the net learn a handful of images by heart? If not, something between images and update is broken."""

import numpy as np
import torch

from striate.pages.wording import plural
from striate.train.check.finding import Finding
from striate.train.check.noisy import silence
from striate.train.check.subject import Budget, Subject, quietly

__all__ = ["overfit"]

HANDFUL = 20
STEPS = 300
LEARNT = 0.01  # nats: the right class has 99 %
RATES = (1e-3, 1e-4)  # Adam's: the usual one, and one for nets that it upsets


def overfit(subject: Subject, seconds: float = 8.0) -> Finding:
    """Adam on one batch without noise or decay, until the loss is a hundredth, the steps or the seconds are over."""
    budget = Budget(seconds)
    chosen = _handful(subject)
    images, labels = subject.images[chosen], subject.labels[chosen]
    best: list[float] = []
    for rate in RATES:
        losses, right = _learn(subject, images, labels, rate, budget)
        best = min(best, losses, key=lambda run: run[-1]) if best else losses
        figures = {"images": len(images), "losses": best}
        if losses[-1] <= LEARNT and right:
            evidence = (
                f"{len(images)} images by heart: loss {losses[0]:.3g} → {losses[-1]:.2g} in {len(losses) - 1} steps"
            )
            return Finding(name="overfit", verdict="ok", evidence=evidence, figures={**figures, "losses": losses})
        if budget.spent:
            break
    steps = len(best) - 1
    evidence = f"loss {best[0]:.3g} → {best[-1]:.3g} on {len(images)} images in {plural(steps, 'step')}"
    if budget.spent and steps < STEPS and np.isfinite(best[-1]):  # nobody can tell yet
        learning = best[-1] < 0.8 * best[0]
        return Finding(
            name="overfit",
            verdict="warning",
            evidence=f"{evidence}, then {seconds:g} s were over",
            remedy=f"{'it is learning; ' if learning else ''}give it more time: --seconds {max(10.0, 10 * seconds):g}",
            figures=figures,
        )
    remedy = (
        "a net that cannot learn this learns nothing: look at the gradients, at frozen parameters, at dead layers, "
        "at equal images with different labels"
    )
    return Finding(name="overfit", verdict="failed", evidence=evidence, remedy=remedy, figures=figures)


def _learn(
    subject: Subject, images: torch.Tensor, labels: torch.Tensor, rate: float, budget: Budget
) -> tuple[list[float], bool]:
    """The loss before each step and after the last, and whether every image is told right then."""
    net = subject.fresh()
    silence(net, images[:4])
    trained = [p for p in net.parameters() if p.requires_grad]
    losses: list[float] = []
    with quietly(subject.settings.seed):
        optimizer = torch.optim.Adam(trained, lr=rate) if trained else None
        while True:
            scores = net(images)
            loss = subject.task.loss(scores, labels)
            losses.append(loss.item())
            right = int(subject.task.correct(scores, labels)) == len(labels)
            done = (losses[-1] <= LEARNT and right) or not np.isfinite(losses[-1])
            if done or len(losses) > STEPS or budget.spent or optimizer is None:
                return losses, right
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()


def _handful(subject: Subject) -> list[int]:
    """Classes in turn, and no image twice: two equal images of different classes cannot both be learnt."""
    turns: dict[int, list[int]] = {}
    for i, label in enumerate(subject.labels.tolist()):
        turns.setdefault(label, []).append(i)
    queue = [i for turn in range(HANDFUL) for members in turns.values() for i in members[turn : turn + 1]]
    return queue[:HANDFUL]
