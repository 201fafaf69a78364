"""The zoo by name: list the nets, ask about one, build one.

A family declares `NETS = {"name": Entry(...)}` in its file under `zoo/`. What `build` takes after the spec, by keyword,
are that net's settings; their defaults are the published net. Every net takes an `activation`: one that has no such
setting gets it in place of its ReLUs.
"""

import fnmatch
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.arithmetic import DoesNotFit
from striate.errors import StriateError, UnknownName, unknown
from striate.nets.activations import replace_relus
from striate.nets.fit import misfit, smallest_side
from striate.nets.net import Net, NetSpec
from striate.nets.weightless import weightless
from striate.nets.zoo import NETS, Entry
from striate.nets.zoo.settings import truth
from striate.plain import plain, whole

__all__ = ["ModelInfo", "build", "list_models", "model_info"]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What is known of a net before it is built."""

    name: str
    family: str  # the file of the zoo that it is in
    input_size: tuple[int, int]  # height, width in px that it was published for
    source: str  # where it was published
    settings: Mapping[str, Any]  # each setting and its default


def list_models(pattern: str = "*") -> list[str]:
    """The names that match a shell pattern, in the order of the zoo. Raises StriateError for what is no pattern.

    >>> list_models("resnet??")
    ['resnet18', 'resnet34', 'resnet50', 'resnet20', 'resnet32', 'resnet44', 'resnet56']
    """
    if not isinstance(pattern, str):
        raise StriateError(f"a pattern is a text, such as 'res*', got {pattern!r}")
    return [name for name in NETS if fnmatch.fnmatchcase(name, pattern)]


def model_info(name: str) -> ModelInfo:
    """What is known of the net `name`. Raises StriateError for a name that is not in the zoo.

    >>> model_info("lenet5").settings
    {'activation': 'relu', 'pool': 'max'}
    """
    entry = _entry(name)
    family = entry.build.__module__.rpartition(".")[2]
    return ModelInfo(
        name=name, family=family, input_size=entry.input_size, source=entry.source, settings=_settings(entry)
    )


def build(
    name: str,
    *,
    num_classes: int = 1000,
    in_chans: int = 3,
    input_size: tuple[int, int] | None = None,
    **settings: Any,
) -> Net:
    """The net `name`, freshly initialised; see `striate.create_model`."""
    entry = _entry(name)
    num_classes = _whole(f"{name}: num_classes", num_classes)
    in_chans = _whole(f"{name}: in_chans", in_chans)
    if input_size is not None:
        input_size = _sides(name, entry, input_size)
    settings = {name: plain(value, tuple) for name, value in settings.items()}
    known, own = _settings(entry), dict(settings)
    activation = None if "activation" in known else own.pop("activation", None)
    if activation is None and "activation" not in known:
        settings.pop("activation", None)  # what is not given is not written down
    for given in own:
        if given not in known:
            raise StriateError(_unknown_setting(name, given, list(known)))
        if isinstance(known[given], bool):
            own[given] = settings[given] = truth(given, own[given])
    if num_classes < 1 or in_chans < 1:
        raise StriateError(
            f"{name} needs at least 1 class and 1 channel, got num_classes={num_classes} and in_chans={in_chans}"
        )

    def make(size: tuple[int, int]) -> Net:
        spec = NetSpec(name=name, num_classes=num_classes, in_chans=in_chans, input_size=size, settings=settings)
        net = entry.build(spec, *entry.args, **own)
        if activation is not None:
            replace_relus(net, activation)
        return net

    if input_size is None:
        return make(entry.input_size)
    _check(name, make, input_size, in_chans)
    return make(input_size)


def _check(name: str, make: Callable[[tuple[int, int]], Net], size: tuple[int, int], in_chans: int) -> None:
    """Raise DoesNotFit when the net cannot take images of `size`, before any of its weights is drawn."""

    def refusal(size: tuple[int, int]) -> str | None:
        if min(size) < 1:
            return "an image has at least one pixel"
        try:
            with weightless():
                net = make(size)
        except DoesNotFit as error:
            return str(error)
        return misfit(net, (in_chans, *size))

    reason = refusal(size)
    if reason is not None:
        side = smallest_side(lambda n: refusal((n, n)) is None)
        raise DoesNotFit(
            f"{name} cannot take {size[0]}×{size[1]} images: {reason}; use images of at least {side}×{side}"
        )


def _sides(name: str, entry: Entry, given: Any) -> tuple[int, int]:
    height, width = map(whole, given) if isinstance(given, Sequence) and len(given) == 2 else (None, None)
    if height is None or width is None:
        raise StriateError(f"{name}: input_size is (height, width) in px, such as {entry.input_size}, got {given!r}")
    return height, width


def _whole(what: str, given: Any) -> int:
    """Raises StriateError for what is no whole number."""
    number = whole(given)
    if number is None:
        raise StriateError(f"{what} is a whole number, got {given!r}")
    return number


def _entry(name: str) -> Entry:
    if not isinstance(name, str):
        raise StriateError(f"a net is given by its name, such as 'resnet18', got {name!r}")
    if name == "caffe":  # made from a file which says what it is: no published form, so no list shows it
        from striate.nets.caffe import CaffeNet  # here, since few need it and protobuf with it

        return Entry(build=CaffeNet, input_size=(224, 224), source="a prototxt")
    if name == "cut":  # a part of another net, which its settings name: no published form either
        from striate.nets.cut import CutNet

        return Entry(build=CutNet, input_size=(224, 224), source="striate transfer")
    if name not in NETS:
        raise UnknownName(unknown("net", name, NETS))
    return NETS[name]


def _unknown_setting(name: str, given: str, known: list[str]) -> str:
    if not known:
        return f"unknown setting of {name} {given!r}; {name} takes none"
    return f"{unknown(f'setting of {name}', given, known)} ({name} takes: {', '.join(known)})"


def _settings(entry: Entry) -> dict[str, Any]:
    parameters = inspect.signature(entry.build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
