"""The members that answer together, and the exam that they are set."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from striate.data import open as open_data
from striate.errors import StriateError
from striate.evaluate.exam import Exam, same_data, settings_of
from striate.evaluate.marginal import Member
from striate.evaluate.members import averaged_weights, best_checkpoints, best_of_search, is_search, member
from striate.nets.weights import ModelCard
from striate.pages.wording import plural
from striate.train.resolve import is_away

__all__ = ["Panel"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The members that answer, and the exam they are set."""

    members: tuple[Member, ...]
    names: tuple[str, ...]  # of the models, as they were named
    cards: tuple[ModelCard, ...]  # theirs
    exam: Exam

    @classmethod
    def of(
        cls,
        models: str | Path | Sequence[str | Path],
        data: str | None = None,
        *,
        checkpoints: int | None = None,
        swa: int | None = None,
        best: int | None = None,
        data_dir: str | None = None,
        classes: Sequence[str] = (),
        offline: bool = False,
        workers: int = 2,
    ) -> "Panel":
        """Models loaded, data opened; see `evaluate`. best: so many of each search's trials, by default one."""
        named = [models] if isinstance(models, str | Path) else list(models)
        if best is not None or any(is_search(model) for model in named):
            named = [one for model in named for one in _trials(model, best)]
        if not named:
            raise StriateError("no model to evaluate; give a run folder, a model file or a published net")
        if checkpoints is not None and swa is not None:
            raise StriateError("checkpoints are either averaged in their answers or (swa) in their weights; give one")
        members: list[Member] = []
        cards: list[ModelCard] = []
        for model in named:
            if checkpoints is not None:
                found, card = best_checkpoints(model, checkpoints, classes=classes)
                members += found
            else:
                one, card = (
                    averaged_weights(model, swa, classes=classes, workers=workers)
                    if swa is not None
                    else member(model, classes=classes, offline=offline)
                )
                members.append(one)
            cards.append(card)
        if not data and is_away(cards[0].data):
            raise StriateError(
                f"{named[0]} was trained on {cards[0].data!r}, which is not here; give the place where it lies as DATA"
            )
        settings = settings_of(named[0], data or cards[0].data)
        if data_dir is not None:
            settings = settings.replace(data_dir=data_dir)
        exam = Exam.of(settings, members[0].classes)
        return cls(members=tuple(members), names=tuple(map(str, named)), cards=tuple(cards), exam=exam)

    def notes(self, part: str) -> tuple[str, ...]:
        """Which models were trained on images of this part: their runs had split the same data otherwise."""
        if part == "train" or not self._trained_on:
            return ()
        _, images = self.exam.part(part)
        asked = {images.key(i) for i in range(len(images))}
        seen = {name: len(asked & keys) for name, keys in self._trained_on.items()}
        return tuple(
            f"{name} split these data otherwise than {self.names[0]}: it was trained on {count:,} of the "
            f"{plural(len(images), 'image')} of this part"
            for name, count in seen.items()
            if count
        )

    @functools.cached_property
    def _trained_on(self) -> dict[str, set[str]]:
        """What models were trained on whose runs split the data otherwise than the first's: keys of images, by name."""
        first, settings = self.cards[0], self.exam.settings
        found = {}
        for name, card in zip(self.names[1:], self.cards[1:], strict=True):
            if card.split and card.split != first.split and same_data(card.data, first.data):
                train = open_data(settings.data, data_dir=settings.data_dir, check=False, **card.split).train
                found[name] = {train.key(i) for i in range(len(train))}
        return found


def _trials(model: str | Path, best: int | None) -> Sequence[str | Path]:
    """A search's best trials; any other model is itself."""
    return best_of_search(model, best or 1) if is_search(model) or best is not None else [model]
