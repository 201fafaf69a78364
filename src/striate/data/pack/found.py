"""Which packs a user's words name: one file, several with commas between, or a folder of them.

Arrow is not loaded here, so that whoever opens a folder of images does not wait for it.
"""

from pathlib import Path

__all__ = ["SUFFIX", "find_packs"]

SUFFIX = ".arrow"


def find_packs(spec: str) -> list[Path]:
    """The packs that `spec` names: `a.arrow`, `a.arrow,b.arrow`, or a folder with nothing but packs; else none.

    A comma may be part of a file's name, so what exists under the whole of `spec` goes first.
    """
    path = Path(spec)
    if path.is_file():
        return [path] if path.suffix == SUFFIX else []
    if path.is_dir():
        held = sorted(child for child in path.iterdir() if not child.name.startswith("."))
        return held if held and all(child.suffix == SUFFIX and child.is_file() for child in held) else []
    parts = [Path(part.strip()) for part in spec.split(",")]
    return parts if len(parts) > 1 and all(part.suffix == SUFFIX for part in parts) else []
