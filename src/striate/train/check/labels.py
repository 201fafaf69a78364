"""Do the labels belong to the images? A probe with them as they are, against the same probe with labels dealt anew.

The probe is kernel ridge regression with a Gaussian kernel on small versions of the images, scored on each image by the
fit to all the others. Leaving one out has a closed form, and so has dealing the labels anew: with G = K + λI,

    y_i − ŷ_i = (G⁻¹ Y)_i / (G⁻¹)_ii              one factorisation of G serves every dealing of Y

The share p of dealings that do as well as the labels themselves is an exact test (Phipson and Smyth 2010: count the
labels' own among them). Labels in another order than the images' do as well as any dealing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from striate.train.check.finding import Finding, Verdict
from striate.train.check.subject import Subject, quietly

__all__ = ["labels_match", "probe"]

DEALINGS = 99  # the least p is 1/100
SIDE_PX = 16  # of the small images: a digit can be read, and 1,000 photographs are 3 MB
LEAST_IMAGES = 40
RIDGES = (0.03, 0.3)  # λ; of the labels as they are, and of every dealing, the better of the two counts
SURE = 0.01  # p up to which the labels are said to belong


def labels_match(subject: Subject) -> Finding:
    """Whether images foretell their labels better than chance: by the accuracy, the dealings' interval, and p."""
    count = len(subject.labels)
    if count < LEAST_IMAGES:
        evidence = f"{count} images are too few to tell; {LEAST_IMAGES} would do"
        return Finding(name="labels", verdict="skipped", evidence=evidence)
    if len(set(subject.labels.tolist())) < 2:
        return Finding(name="labels", verdict="failed", evidence="all images have one label", remedy="look at the data")
    right, dealt = probe(subject.images, subject.labels, seed=subject.settings.seed)
    p = (1 + int((dealt >= right).sum())) / (1 + len(dealt))
    low, high = (float(dealt.quantile(q)) for q in (0.025, 0.975))
    figures = {"accuracy": right, "dealt": dealt.tolist(), "p": p, "images": count}
    evidence = (
        f"a probe is right on {right:.1%}, with dealt labels on {low:.1%} to {high:.1%} (p {p:.3f}, {count:,} images)"
    )
    if p <= SURE:
        return Finding(name="labels", verdict="ok", evidence=evidence, figures=figures)
    remedy = (
        "labels in another order than the images, or a task beyond this probe: look at some with striate data show; "
        "if they are right, go on"
    )
    verdict: Verdict = "warning" if p <= 0.2 else "failed"
    return Finding(name="labels", verdict=verdict, evidence=evidence, remedy=remedy, figures=figures)


def probe(images: Tensor, labels: Tensor, *, seed: int = 0, dealings: int = DEALINGS) -> tuple[float, Tensor]:
    """Accuracy with the labels as they are, and with each of `dealings` permutations of them, float64 [dealings]."""
    rows = _features(images)
    classes = int(labels.max()) + 1
    targets = F.one_hot(labels, classes).double()
    targets = targets - targets.mean(0)
    with quietly(seed):
        orders = torch.stack([torch.randperm(len(labels)) for _ in range(dealings)])
    distances = torch.cdist(rows, rows).square()
    kernel = torch.exp(-distances / distances[distances > 0].median().clamp_min(1e-12))
    best = torch.full((1 + dealings,), -1.0, dtype=torch.float64)
    orders = torch.cat([torch.arange(len(labels))[None], orders])  # the labels themselves are the first dealing
    dealt = targets[orders]  # dealings × N × classes
    for ridge in RIDGES:
        inverse = torch.linalg.inv(kernel + ridge * torch.eye(len(rows), dtype=torch.float64))
        missed = torch.einsum("ij,djc->dic", inverse, dealt) / inverse.diagonal()[:, None]  # y − ŷ of each left out
        right = (dealt - missed).argmax(2) == labels[orders]
        best = torch.maximum(best, right.double().mean(1))
    return float(best[0]), best[1:]


def _features(images: Tensor) -> Tensor:
    """float64 [N, …]: small images and how strong their edges are, each part centred and of the same weight."""
    side = min(SIDE_PX, *images.shape[2:])
    small = F.adaptive_avg_pool2d(images.float(), (side, side))
    grey = images.float().mean(1, keepdim=True)
    edges = [F.adaptive_avg_pool2d(grey.diff(dim=axis).abs(), (4, 4)) for axis in (2, 3) if grey.shape[axis] > 4]
    colours = images.float().flatten(2)
    tones = torch.cat([colours.mean(2), colours.std(2)], 1)
    parts = [small.flatten(1), *(edge.flatten(1) for edge in edges), tones]
    scaled = []
    for part in parts:
        centred = part.double() - part.double().mean(0)
        scaled.append(centred / centred.square().sum(1).mean().sqrt().clamp_min(1e-12))
    return torch.cat(scaled, 1)
