"""A dispatch mode that sees every operator, with types, and without waking torch's compiler."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Mode"]


class Mode(TorchDispatchMode):
    """Abstract: a subclass says in `__torch_dispatch__` what becomes of an operator while the mode is on."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]  # torch has no types here

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch asks: shall the mode be hidden from its compiler? That would import the compiler, for over a second."""
        return False
