"""Whether the nets of a space can be built, asked before trials are spent on it: no weight is drawn for the answer."""

from collections.abc import Mapping
from typing import Any

from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.weightless import weightless
from striate.search.space import NET, Choices, Space, apply, flag, value_text
from striate.train import Settings

__all__ = ["check_nets", "refusal"]


def check_nets(settings: Settings, space: Space) -> None:
    """Raises StriateError where a net of the space, or one of its own settings at an end, cannot be built.

    Settings are asked one by one, the others in the middle: what only two of them together forbid, a trial will tell.
    """
    middle = {name: one.at(0.5) for name, one in space.items()}
    models = _values(space["model"]) if "model" in space else [settings.model]
    own = [(name, value) for name, one in space.items() if name.startswith(NET) for value in _values(one)]
    for model in models:
        for name, value in own or [("model", model)]:
            told: Mapping[str, Any] = middle | {"model": model, name: value}
            reason = refusal(apply(settings, told))
            if reason is not None:
                place = "" if "model" not in space else f"--model {model}: "
                raise StriateError(f"{place}{flag(name)} {value_text(value)} cannot be searched: {reason}")


def refusal(settings: Settings) -> str | None:
    """What the net says to its settings; None where it takes them."""
    try:
        with weightless():
            create_model(settings.model, **settings.model_settings)
    except StriateError as error:
        return str(error)
    except (TypeError, ValueError, RuntimeError) as error:  # of a value that the net never thought of
        return f"{settings.model} cannot be built: {error}"
    return None


def _values(one: Any) -> list[Any]:
    return list(one.options) if isinstance(one, Choices) else [one.at(0.0), one.at(1.0)]
