"""How a run's weights begin where `init` says so: drawn by a scheme, or scaled on a batch of the training images."""

from striate.data import Dataset, Loader, Preprocess
from striate.errors import StriateError, UnknownName, unknown
from striate.nets import Net
from striate.nets.initialise import SCHEMES, initialise
from striate.train.progress import Reporter
from striate.train.settings import Settings
from striate.train.state import seed_all

__all__ = ["begin_weights"]

LOOKS_AT = 64  # images for lsuv: 64 × 28² values of each map, their variance known to 1 %


def begin_weights(settings: Settings, net: Net, data: Dataset, preprocess: Preprocess, reporter: Reporter) -> None:
    """Draw the weights of `net` anew by `settings.init`: a function of the settings and the data alone.

    Raises StriateError for a scheme that is not known, and where weights were loaded that it would replace.
    """
    if settings.init is None:
        return
    if settings.init not in SCHEMES:
        raise UnknownName(unknown("--init", settings.init, SCHEMES))
    if settings.pretrained is not None:
        raise StriateError("--init draws the weights that --pretrained loads; leave one of them out")
    few = data.train.subset(range(0, len(data.train), max(1, len(data.train) // LOOKS_AT)))
    ((images, _, _),) = Loader(few, preprocess, batch_size=len(few), workers=settings.workers).epoch(0)
    seed_all(settings.seed)
    initialise(net, settings.init, images.to(settings.device))
    reporter.note(f"weights begin as {settings.init} says")
