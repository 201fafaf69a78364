"""A trained net with its card: from a model file, or by the name of a net whose weights are published."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from striate.errors import StriateError
from striate.nets.accuracies import accuracy_of_weights
from striate.nets.create import create_model
from striate.nets.net import Net
from striate.nets.weights.model_file import ModelCard, load_model
from striate.nets.weights.published import PUBLISHED, Published
from striate.nets.zoo import NETS

__all__ = ["is_published", "load_trained", "published_names", "read_classes"]

MOST_CLASS_BYTES = 1 << 24


def is_published(name: str) -> bool:
    """Whether `name` is a net, or a file of weights ("resnet50-11ad3fa6"), that `load_trained` can fetch."""
    return _published(name) is not None


def published_names() -> list[str]:
    """The nets whose weights `load_trained` can fetch."""
    return [name for name in PUBLISHED if name in NETS]


def load_trained(model: str | Path, *, classes: Sequence[str] = (), offline: bool = False) -> tuple[Net, ModelCard]:
    """The net in evaluation mode, on the CPU, and its card; `classes` name what it answers, in place of the card's.

    `model` is a model file, or where there is no such file the name of a net with published weights, which are fetched
    once. Publishers of weights do not state class names in them, so these are "class 0" and so on without `classes`.

    Raises StriateError as `load_model` and `create_model` do, and when the classes are not as many as the scores.
    """
    published = None if Path(model).exists() else _published(str(model))
    if published is None:
        net, card = load_model(model)
    else:
        accuracy = accuracy_of_weights(published.name)
        net = create_model(published.net, num_classes=published.classes, pretrained=published.name, offline=offline)
        card = ModelCard(
            net=published.net,
            classes=tuple(f"class {i}" for i in range(published.classes)),
            in_chans=3,
            input_size=(published.crop, published.crop),
            preprocess=published.preprocess,
            data="imagenet",
            metrics=dataclasses.asdict(accuracy) if accuracy else {},
        )
    if classes:
        if len(classes) != len(card.classes):
            raise StriateError(f"{model} tells {len(card.classes)} classes apart and {len(classes)} names were given")
        card = dataclasses.replace(card, classes=tuple(classes))
    return net.eval(), card


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one a line. Of ImageNet's synset lists ("n01440764 tench, Tinca tinca") the words are the name.

    A name that comes twice (ImageNet has two cranes) gets its number. Raises StriateError when the file cannot be read
    or names nothing.
    """
    try:
        if path.stat().st_size > MOST_CLASS_BYTES:
            raise StriateError(f"{path} is too large to be a list of class names")
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise StriateError(f"{path} is not text; give class names, one a line") from error
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    names = [line.partition(" ")[2] if _is_synset(line) else line for line in lines if line]
    times = Counter(names)
    names = [f"{name} ({i})" if times[name] > 1 else name for i, name in enumerate(names)]
    if not names:
        raise StriateError(f"{path} names no classes; write one a line")
    return tuple(names)


def _is_synset(line: str) -> bool:
    """Whether a line begins with a number of WordNet, as ImageNet's lists do."""
    key, _, words = line.partition(" ")
    return len(key) == 9 and key[0] == "n" and key[1:].isdigit() and bool(words)


def _published(name: str) -> Published | None:
    for published in (one for some in PUBLISHED.values() for one in some):
        if name in (published.net, published.name) and published.net in NETS:
            return published
    return None
