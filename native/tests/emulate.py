"""A program of the core on an emulated processor that has AVX-512: `make avx512`.

    python native/tests/emulate.py [--kernel FILE] [--bochs FILE] [--cpu MODEL] build/avx512/striate_gemm --shapes 40

Bochs is a whole computer, so one is booted: a CD with a kernel, the program, and striate_first from beside it, which
runs it; both linked statically. What they print comes through the serial line, the exit status last, and that is the
exit status here. Hundreds of times slower than a processor, and right to the bit.

Needs Debian's bochs, isolinux, syslinux-common, xorriso and a kernel, linux-image-cloud-amd64: /boot's newest, or one
that is named. Debian 12's Bochs 2.7 has neither AMX nor AVX512_BF16; Bochs 3, built from source, has both in its
`sapphire_rapids` (docs/design/native.md).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CPU = "corei7_skylake_x"  # AVX-512 F, CD, BW, DQ, VL
FIRST = "striate_first"
LOADER = Path("/usr/lib/ISOLINUX/isolinux.bin")
LOADER_MODULE = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
ROM = "/usr/share/bochs/BIOS-bochs-latest"
VGA_ROM = "/usr/share/bochs/VGABIOS-lgpl-latest"
ENDED = re.compile(r"^exit status (\d+)\s*\n", re.MULTILINE)
SECONDS = 6 * 3600.0  # all algorithms of striate_conformance take hours

# The compact form of saved registers is not quite Bochs's, and the kernel would leave AVX off.
BOOT = "console=ttyS0,115200 quiet loglevel=0 noxsaves clearcpuid=xsavec,fsrm"
BOOT += " acpi=off nosmp mitigations=off lpj=1000000 tsc=reliable rdinit=/first -- /program"  # fewer things to set up
MACHINE = """
cpu: model={cpu}, count=1, ips=50000000, ignore_bad_msrs=1
memory: guest=1024, host=1024
romimage: file={rom}
vgaromimage: file={vga_rom}
ata0-master: type=cdrom, path={folder}/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/serial
display_library: rfb, options="timeout=0"
clock: sync=none, time0=utc
speaker: enabled=0
sound: waveoutdrv=dummy
plugin_ctrl: gameport=0, busmouse=0
log: {folder}/log
panic: action=fatal
error: action=ignore
info: action=ignore
"""


def main() -> int:
    """Run the program; its exit status, or 2 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, default=newest_kernel(), help="the newest in /boot")
    parser.add_argument("--bochs", default="bochs", help="another Bochs than Debian's")
    parser.add_argument("--cpu", default=CPU, help=f"one of its models; {CPU}")
    parser.add_argument("program", type=Path, help="linked statically, striate_first beside it")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's")
    given = parser.parse_args()
    lack = lacking(given.bochs, given.kernel, given.program)
    if lack:
        parser.error(lack)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_disc(folder, given.kernel, given.program, given.arguments)
        return booted(folder, given.bochs, given.cpu)


def newest_kernel() -> Path:
    """Of those that are installed; a path where none is, if there are none."""
    return max(Path("/boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime, default=Path("/boot/vmlinuz"))


def lacking(bochs: str, kernel: Path, program: Path) -> str:
    """What is not there, and what brings it; nothing, if all is."""
    for tool, package in ((bochs, "bochs"), ("xorriso", "xorriso")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: {package})"
    for file, package in ((LOADER, "isolinux"), (LOADER_MODULE, "syslinux-common")):
        if not file.exists():
            return f"{file} is not there (Debian: {package})"
    if not kernel.is_file():
        return f"no kernel {kernel} (Debian: linux-image-cloud-amd64; --kernel names another)"
    for file in (program, program.with_name(FIRST)):
        if not file.is_file():
            return f"{file} is not there"
    return ""


def make_disc(folder: Path, kernel: Path, program: Path, arguments: list[str]) -> None:
    """boot.iso: the loader, the kernel, and a file system in memory that holds the program and a console."""
    disc = folder / "disc"
    disc.mkdir()
    shutil.copy(LOADER, disc)
    shutil.copy(LOADER_MODULE, disc)
    shutil.copy(kernel, disc / "kernel")
    files = [entry("dev", 0o040755), entry("dev/console", 0o020600, device=(5, 1))]
    files += [entry("first", 0o100755, program.with_name(FIRST).read_bytes())]
    files += [entry("program", 0o100755, program.read_bytes()), entry("TRAILER!!!", 0)]
    (disc / "initrd").write_bytes(b"".join(files))
    words = " ".join([BOOT, *arguments])
    (disc / "isolinux.cfg").write_text(f"default run\nlabel run\n  kernel kernel\n  append initrd=initrd {words}\n")
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "boot.iso", "-b", "isolinux.bin", "-c", "boot.cat"]
    command += ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", disc]
    subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)


def entry(name: str, mode: int, data: bytes = b"", *, device: tuple[int, int] = (0, 0)) -> bytes:
    """One of an archive in the form that kernels unpack (cpio's "newc"): 13 numbers, the name, the bytes."""
    path = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def booted(folder: Path, bochs: str, cpu: str) -> int:
    """Boots the disc, prints what comes through the serial line, and returns how the program ended."""
    machine, debugger = folder / "machine", folder / "debugger"
    machine.write_text(MACHINE.format(cpu=cpu, rom=ROM, vga_rom=VGA_ROM, folder=folder))
    debugger.write_text("continue\n")  # Debian's Bochs has one, which waits to be told
    serial, said, begun = folder / "serial", "", time.monotonic()
    command = [bochs, "-q", "-f", str(machine), "-rc", str(debugger)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as emulator:
        try:
            while time.monotonic() - begun < SECONDS:
                now = serial.read_text(errors="replace") if serial.exists() else ""
                print(now[len(said) :], end="", flush=True)
                said = now
                if ended := ENDED.search(said):
                    return int(ended[1])
                if emulator.poll() is not None:
                    break
                time.sleep(0.5)
        finally:
            emulator.kill()
    log = folder / "log"
    reason = "it stopped" if time.monotonic() - begun < SECONDS else f"no end after {SECONDS:.0f} s"
    print(f"emulate.py: {reason}; the emulator's last words:", file=sys.stderr)
    print("\n".join(log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
