"""Where the time of a run goes."""

from striate.train.report.record import STAGE_NAMES
from striate.train.watch.diagnosis import Diagnosis
from striate.train.watch.series import Series

__all__ = ["waiting_for_data"]

WAITING = 0.3  # of the training time: the run could end in 70 % of it
SECONDS = 3.0  # waited at least: below it nobody gains anything from a remedy


def waiting_for_data(series: Series) -> Diagnosis | None:
    """The net waits for its images."""
    training = sum(epoch.seconds for epoch in series.epochs)
    waited = sum(epoch.wait * epoch.seconds for epoch in series.epochs)
    if not training or waited < SECONDS or waited < WAITING * training:
        return None
    stages = {
        name: sum(epoch.waits.get(stage, 0.0) * epoch.seconds for epoch in series.epochs)
        for stage, name in STAGE_NAMES.items()
        if stage != "compute"
    }
    most = max(stages, key=stages.__getitem__)
    what = f", most of it for {most}" if stages[most] else ""
    return Diagnosis(
        illness="waiting for data",
        evidence=f"{waited / training:.0%} of the training time ({waited:.0f} s) the net waited for images{what}",
        remedy="more loading threads (-j), or pack the images once (striate pack); "
        "striate doctor data DATA measures each stage",
    )
