"""One deliberate fault in each kernel, and a suite has to turn red: `make mutants`.

mutations.toml lists them. Each is made in a copy of the core, built and run; a fault that the suite does not see, or
that is not there to be made any more, is an error. A test that cannot fail proves nothing, and this is where it fails.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A mutation's `program`; the first if it names none.
PROGRAMS = ("striate_conformance", "striate_bfloat16", "striate_gemm", "striate_strassen", "striate_warp")
SHAPES = 80  # enough that each algorithm meets some of its shapes in every layout and instruction set


def main() -> int:
    """Make every fault in turn; 0 if all were seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose file holds this")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "mutants")
    arguments = parser.parse_args()
    listed = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text())["mutation"]
    mutations = [mutation for mutation in listed if arguments.only in mutation["file"]]
    if not mutations:
        parser.error(f"--only {arguments.only}: no fault is in a file whose name holds this")
    copy = arguments.build / "tree"
    shutil.copytree(ROOT / "native", copy / "native", dirs_exist_ok=True)
    shutil.copy(ROOT / "CMakeLists.txt", copy)
    configure(copy, arguments.build / "out")
    unseen = 0
    for mutation in mutations:
        verdict = tried(copy, arguments.build / "out", mutation)
        unseen += verdict != "seen"
        print(f"{verdict:12} {mutation['file']}: {mutation['what']}", flush=True)
    print(f"{unseen} of {len(mutations)} faults not seen" if unseen else f"all {len(mutations)} faults were seen")
    return 1 if unseen else 0


def configure(tree: Path, out: Path) -> None:
    ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or "ninja"
    command = ["cmake", "-S", tree, "-B", out, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    subprocess.run([*map(str, command), "-DSTRIATE_NATIVE_TESTS=ON"], check=True, stdout=subprocess.DEVNULL)
    build(out, check=True)


def build(out: Path, *, check: bool) -> bool:
    command = ["cmake", "--build", str(out), "--target", *PROGRAMS]
    return subprocess.run(command, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def tried(tree: Path, out: Path, mutation: dict[str, str]) -> str:
    """ "seen", "NOT SEEN", "NOT THERE" or "NO BUILD"; the file is put back."""
    path = tree / mutation["file"]
    right = path.read_text()
    if right.count(mutation["from"]) != 1:
        return "NOT THERE"
    path.write_text(right.replace(mutation["from"], mutation["to"]))
    try:
        if not build(out, check=False):
            return "NO BUILD"
        program = mutation.get("program", PROGRAMS[0])
        only = ["--algorithm", mutation["algorithm"]] if "algorithm" in mutation else []
        command = [out / program, *only, "--shapes", SHAPES]
        ran = subprocess.run([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return "seen" if ran.returncode != 0 else "NOT SEEN"
    finally:
        path.write_text(right)


if __name__ == "__main__":
    raise SystemExit(main())
