"""Which images a net can take, and which layer refuses the others, and why.

Asked at creation when an input size is given, and after a forward that torch refused; never on the good path.
"""

from collections.abc import Callable

from torch import Tensor, nn

from striate.arithmetic import DoesNotFit
from striate.nets.describe import describe, windows
from striate.nets.net import Net
from striate.nets.trace import walk
from striate.pages.wording import plural

__all__ = ["LARGEST_SIDE", "explain", "feature_shape", "misfit", "smallest_side"]

LARGEST_SIDE = 1024  # px; where the search for a size that fits gives up. Every net of the zoo takes less than 300.


def misfit(net: nn.Module, shape: tuple[int, int, int], prefix: str = "") -> str | None:
    """Which layer cannot take images of `shape` (C, H, W), in words; None when all can."""
    walked = walk(net, shape)
    if walked.error is None:
        return None
    refused = next((visit for visit in reversed(walked.visits) if visit.output_shape is None), None)
    if refused is None:  # between two layers: an addition or a reshape
        return str(walked.error).splitlines()[0]
    name, layer, seen = f"{prefix}{refused.name}", refused.layer, refused.input_shape
    where = f"{name} ({describe(layer)})"
    if isinstance(layer, nn.Linear):
        return f"{where} takes {layer.in_features} values per image and would get {seen[-1] if seen else 0}"
    if isinstance(layer, nn.Conv2d) and seen[0] != layer.in_channels:
        return f"{where} takes {plural(layer.in_channels, 'channel')} and would get {seen[0]}"
    if windows(layer) and len(seen) == 3:
        return f"{where} would see {seen[1]}×{seen[2]} px"
    return f"{where} {str(walked.error).splitlines()[0]}"


def feature_shape(features: nn.Module, in_chans: int, input_size: tuple[int, int]) -> tuple[int, ...]:
    """Shape per image that `features` gives, for a head that has to know it. Raises DoesNotFit, naming the layer."""
    walked = walk(features, (in_chans, *input_size))
    if walked.error is not None or walked.output_shape is None:
        raise DoesNotFit(misfit(features, (in_chans, *input_size), prefix="features."))
    return walked.output_shape


def smallest_side(fits: Callable[[int], bool]) -> int | None:
    """The smallest side in px for which `fits` holds, where larger sides fit too; None when LARGEST_SIDE does not."""
    low, high = 0, 1
    while not fits(high):
        low, high = high, high * 2
        if high > LARGEST_SIDE:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def explain(net: Net, x: Tensor) -> DoesNotFit | None:
    """Why `net` cannot take the batch `x`, with what to do; None when its shape and type are not the reason."""
    spec = net.spec
    if x.ndim != 4:
        hint = "; one image is a batch of one: x[None]" if x.ndim == 3 else ""
        return DoesNotFit(f"{spec.name} takes a batch N×C×H×W and got shape {tuple(x.shape)}{hint}")
    if not x.is_floating_point():
        return DoesNotFit(f"{spec.name} takes floating-point images and got {x.dtype}; normalise them first")
    channels, height, width = x.shape[1:]
    if channels != spec.in_chans:
        return DoesNotFit(
            f"{spec.name} was made for images with {plural(spec.in_chans, 'channel')} and got {channels}; "
            f"convert the images, or create the net with in_chans={channels}"
        )
    reason = misfit(net, (channels, height, width))
    if reason is None:
        return None
    advice = _advice(net, (channels, height, width))
    if advice is None:
        return None
    return DoesNotFit(f"{spec.name} cannot take {height}×{width} images: {reason}; {advice}")


def _advice(net: Net, shape: tuple[int, int, int]) -> str | None:
    """What to do about images of `shape` (C, H, W); None when the net takes no image, so that they are not to blame."""
    spec = net.spec
    if net.fixed_size:
        resize = f"resize them to {spec.input_size[0]}×{spec.input_size[1]}"
        could = isinstance(net.features, nn.Module) and walk(net.features, shape).error is None
        return f"{resize}, or create the net with input_size=({shape[1]}, {shape[2]})" if could else resize
    side = smallest_side(lambda n: misfit(net, (spec.in_chans, n, n)) is None)
    return f"use images of at least {side}×{side}" if side else None
