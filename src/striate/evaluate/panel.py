"""The members that answer together, and the exam that they are set."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from striate.errors import StriateError
from striate.evaluate.exam import Exam, settings_of
from striate.evaluate.marginal import Member
from striate.evaluate.members import averaged_weights, best_checkpoints, best_of_search, is_search, member
from striate.nets.weights import ModelCard

__all__ = ["Panel"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The members that answer, and the exam they are set."""

    members: tuple[Member, ...]
    cards: tuple[ModelCard, ...]  # of the models that were named
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
        settings = settings_of(named[0], data or cards[0].data)
        if data_dir is not None:
            settings = settings.replace(data_dir=data_dir)
        return cls(members=tuple(members), cards=tuple(cards), exam=Exam.of(settings, members[0].classes))


def _trials(model: str | Path, best: int | None) -> Sequence[str | Path]:
    """A search's best trials; any other model is itself."""
    return best_of_search(model, best or 1) if is_search(model) or best is not None else [model]
