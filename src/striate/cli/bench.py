"""`striate bench`: convolutions measured beside other libraries, and the lectures' pictures as they are here."""

import itertools
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from striate.cli import bench_tables
from striate.cli.bench_parts import (
    begin,
    check_choice,
    check_files,
    draw,
    kept,
    peer_named,
    row_by_row,
    tell,
    told,
    wrong_calls,
)
from striate.cli.failure import UsageError
from striate.cli.lists import whole_numbers, words
from striate.errors import unknown

if TYPE_CHECKING:
    from striate.bench.conv import Row
    from striate.bench.im2col import Need

__all__ = ["app"]

app = typer.Typer(help="Measure convolutions beside other libraries.", rich_markup_mode=None)

Threads: TypeAlias = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads of every library; as many as there are cores otherwise.")
]
Rounds: TypeAlias = Annotated[
    int, typer.Option("--rounds", min=3, help="Samples of everything, taken in turns; their median counts.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Output: TypeAlias = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Also write the JSON there.")]
Plot: TypeAlias = Annotated[Path | None, typer.Option("--plot", metavar="FILE.svg", help="Also draw it there.")]
LayerPattern: TypeAlias = Annotated[
    str, typer.Option("--layer", metavar="PATTERN", help="Only convolutions like '64-*,!*@14' or 'features.2'.")
]
Peers: TypeAlias = Annotated[
    str | None,
    typer.Option("--peers", metavar="A,B,…", help="torch, torch-frozen, onnxruntime, openvino, ncnn, mnn."),
]
Net: TypeAlias = Annotated[str, typer.Option("--net", metavar="NET", help="Whose convolutions: any net of the zoo.")]
Batch: TypeAlias = Annotated[int, typer.Option("--batch-size", "--batch", "-b", min=1, help="Images at once.")]

PASSES = {None: ("forward",), "data": ("data",), "weights": ("weights",), "all": ("forward", "data", "weights")}
LAVIN_AND_GRAY = "vgg19"  # VGG-E


@app.command("conv")
def conv_command(
    net: Net = LAVIN_AND_GRAY,
    layer: LayerPattern = "*",
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="KEY,KEY,…", help="These convolutions, of no net: '64-64-3x3@112/2g64'."),
    ] = None,
    batch: Annotated[
        str, typer.Option("--batch-size", "--batch", "-b", metavar="N,N,…", help="Images at once.")
    ] = "1,2,4,8,16,32,64",
    peers: Peers = None,
    precision: Annotated[str, typer.Option("--precision", help="fp32 or bf16.")] = "fp32",
    backward: Annotated[
        str | None,
        typer.Option("--backward", metavar="WHICH", help="data, weights, or all: forward, both, and their sum."),
    ] = None,
    algorithm: Annotated[str, typer.Option("--algorithm", help="One of ours; the fastest otherwise.")] = "auto",
    layout: Annotated[
        str, typer.Option("--layout", help="Of ours: nchw, channels_last, blocked; best: the fastest of them.")
    ] = "best",
    ieee: Annotated[
        bool, typer.Option("--ieee", help="Ours make a product of float32 in float32, never of bfloat16 (bf16x3).")
    ] = False,
    threads: Threads = None,
    rounds: Rounds = 11,
    as_json: AsJson = False,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Layers of a net by every library: the table of Lavin and Gray, 2015."""
    if shape is not None and (net, layer) != (LAVIN_AND_GRAY, "*"):
        raise UsageError("--shape names convolutions of no net: leave out --net and --layer")
    check_choice("--precision", precision, ("fp32", "bf16"))
    check_choice("--layout", layout, ("best", "nchw", "channels_last", "blocked"))
    if backward not in PASSES:
        raise UsageError(unknown("--backward", str(backward), [name for name in PASSES if name]))
    batches = whole_numbers("--batch-size", batch, "1,16,64")
    check_files(output, plot)
    from striate.bench.layer import Layer, layers_of
    from striate.bench.ours import LAYOUTS, named
    from striate.bench.record import conv_picture, conv_record
    from striate.conv.choose import ask_for_ieee

    if algorithm != "auto":
        named(algorithm)
    if ieee:
        ask_for_ieee()
    with wrong_calls():
        layers = layers_of(net, layer) if shape is None else [Layer.of_key(key) for key in words(shape) or [shape]]
    layouts = LAYOUTS if layout == "best" else (layout,)
    chosen, here, count = begin(peers, threads)
    of = net if shape is None else None
    settings = {
        "net": of,
        "rounds": rounds,
        "precision": precision,
        "layout": layout,
        "ieee": ieee,
        "algorithm": algorithm,
    }
    passes = PASSES[backward]
    measured = row_by_row(layers, batches, chosen, count, rounds, passes, precision, algorithm, layouts)
    rows, record = kept(measured, output, lambda rows: conv_record(here, rows, chosen, settings))
    tell(record, as_json, lambda: bench_tables.print_conv(here, rows, chosen))
    title = "Convolutions" if of is None else f"Convolutions of {of}"
    picture = partial(conv_picture, f"{title}, {here.threads} threads", rows, here.peak_flops)
    draw(plot, picture, timed=any(row.ours.samples for row in rows))


@app.command("fft")
def fft_command(
    filters: Annotated[
        str, typer.Option("--filters", metavar="F,F,…", help="Sides of the filters, px; all odd ones otherwise.")
    ] = "",
    maps: Annotated[int, typer.Option("--maps", min=1, help="Maps in and out.")] = 32,
    size: Annotated[int, typer.Option("--size", min=1, help="Side of the images, px.")] = 64,
    batch: Batch = 4,
    peer: Annotated[str, typer.Option("--peer", help="Whom to compare with.")] = "torch",
    threads: Threads = None,
    rounds: Rounds = 11,
    as_json: AsJson = False,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Fourier against the direct sum, filter after filter from 3 to 31 px."""
    check_files(output, plot)
    from striate.bench import fft
    from striate.bench.ours import LAYOUTS, named
    from striate.bench.record import conv_record

    sides = whole_numbers("--filters", filters, "3,5,7") if filters else list(fft.FILTERS)
    named("fft")
    chosen, here, count = begin(peer_named(peer), threads)
    layers = fft.layers(sides, maps, size)

    def recorded(rows: "list[Row]") -> dict[str, Any]:
        return conv_record(here, rows, chosen, {"rounds": rounds}) | {"crossover_px": fft.crossover(rows, peer)}

    measured = row_by_row(layers, [batch], chosen, count, rounds, ("forward",), "fp32", "fft", LAYOUTS)
    rows, record = kept(measured, output, recorded)
    tell(record, as_json, lambda: bench_tables.print_fft(here, rows, peer, record["crossover_px"]))
    draw(plot, partial(fft.figure, rows, peer), timed=any(row.ours.samples for row in rows))


@app.command("im2col")
def im2col_command(
    net: Net = LAVIN_AND_GRAY,
    layer: LayerPattern = "*",
    batch: Batch = 1,
    threads: Threads = None,
    rounds: Rounds = 11,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """What each of our algorithms needs in memory, beside its time."""
    from striate.bench import im2col
    from striate.bench.layer import layers_of
    from striate.bench.record import im2col_record

    check_files(output)
    with wrong_calls():
        layers = layers_of(net, layer)
    _, here, count = begin("", threads)

    def in_short(found: "list[Need]") -> str:
        return f"{found[0].layer}" if found else "no algorithm"

    by_layer = told(im2col.measure(layers, batch, threads=count, rounds=rounds), len(layers), in_short)
    measured = itertools.chain.from_iterable(by_layer)
    settings = {"net": net, "batch": batch, "rounds": rounds}
    needs, record = kept(measured, output, lambda needs: im2col_record(here, needs, settings))
    tell(record, as_json, lambda: bench_tables.print_im2col(here, needs))


@app.command("roofline")
def roofline_command(
    net: Net = "resnet50",
    layer: LayerPattern = "*",
    batch: Batch = 1,
    peer: Annotated[str, typer.Option("--peer", help="Whom to compare with.")] = "torch",
    threads: Threads = None,
    rounds: Rounds = 11,
    as_json: AsJson = False,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Every convolution of a net under the machine's roof: multiply-add peak and memory bandwidth, both measured."""
    check_files(output, plot)
    from striate.bench import roofline
    from striate.bench.facts import copy_bandwidth
    from striate.bench.layer import layers_of
    from striate.bench.ours import LAYOUTS
    from striate.bench.record import conv_record, roofline_points

    with wrong_calls():
        layers = layers_of(net, layer)
    chosen, here, count = begin(peer_named(peer), threads)
    bandwidth = copy_bandwidth(count)
    settings = {"net": net, "rounds": rounds}

    def recorded(rows: "list[Row]") -> dict[str, Any]:
        return conv_record(here, rows, chosen, settings) | {"copy_bytes_per_second": bandwidth}

    measured = row_by_row(layers, [batch], chosen, count, rounds, ("forward",), "fp32", "auto", LAYOUTS)
    rows, record = kept(measured, output, recorded)
    points = roofline_points(rows, peer)
    tell(record, as_json, lambda: bench_tables.print_roofline(here, points, bandwidth))
    title = f"{net}, N = {batch}, {here.threads} threads: every convolution under the roof"
    picture = partial(roofline.picture, title, points, peak=here.peak_flops, bandwidth=bandwidth, peer=peer)
    draw(plot, picture, timed=bool(points))


@app.command("nets")
def nets_command(
    net: Annotated[
        str | None,
        typer.Option("--net", metavar="NAME", help="OxfordNet-A, AlexNet-OWT or GoogLeNet-v1; else all."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch-size", "--batch", "-b", min=1, help="Images at once; as published otherwise."),
    ] = None,
    ways: Annotated[str, typer.Option("--ways", metavar="A,B,…", help="eager, channels-last, compile, striate.")] = "",
    threads: Threads = None,
    rounds: Rounds = 5,
    as_json: AsJson = False,
    output: Output = None,
) -> None:
    """The nets of convnet-benchmarks, forward and backward: torch's ways, and its convolutions by striate."""
    from striate.bench import nets
    from striate.bench.record import nets_record

    titles = {one.title: one for one in nets.NETS}
    if net is not None and net not in titles:
        raise UsageError(unknown("net", net, titles))
    wanted = words(ways) or list(nets.WAYS)
    for way in wanted:
        check_choice("--ways", way, nets.WAYS)
    check_files(output)
    _, here, count = begin("", threads)
    chosen = [titles[net]] if net else list(nets.NETS)

    found = nets.measure(chosen, batch=batch, threads=count, rounds=rounds, ways=wanted)
    measured = told(found, len(chosen), lambda row: row.published.title)
    rows, record = kept(measured, output, lambda rows: nets_record(here, rows, {"rounds": rounds}))
    tell(record, as_json, lambda: bench_tables.print_nets(here, rows))


@app.command("strassen")
def strassen_command(
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N,…", help="Sides of the square matrices.")
    ] = "256,512,1024,2048,4096",
    levels: Annotated[int, typer.Option("--levels", min=1, max=4, help="Times that matrices are halved, at most.")] = 2,
    threads: Threads = None,
    rounds: Rounds = 7,
    as_json: AsJson = False,
    output: Output = None,
    plot: Plot = None,
) -> None:
    """Strassen's seven products over our matrix product: from what size on they pay, and what they cost in error."""
    check_files(output, plot)
    sides = whole_numbers("--sizes", sizes, "512,1024")
    odd = [side for side in sides if side % 2**levels]
    if odd:
        raise UsageError(f"--sizes has {odd[0]}, which cannot be halved {levels} times; give multiples of {2**levels}")
    from striate.bench import strassen
    from striate.bench.record import strassen_record

    _, here, count = begin("", threads)

    found = strassen.measure(sides, levels, threads=count, rounds=rounds)
    measured = told(found, len(sides), lambda row: f"{row.size}×{row.size}")
    settings = {"rounds": rounds, "levels": levels}
    rows, record = kept(measured, output, lambda rows: strassen_record(here, rows, settings))
    tell(record, as_json, lambda: bench_tables.print_strassen(here, rows))
    draw(plot, partial(strassen.figure, rows, here.peak_flops), timed=bool(rows))
