"""Files that are not what they say: one line that names file and place, and memory only for what is really there."""

import re
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from striate.errors import StriateError
from striate.nets.caffe.convert import convert
from striate.nets.caffe.read import parse_net, read_blob, read_weights

NET = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 6 input_dim: 6
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def run(number: int, content: bytes) -> bytes:
    """A field of so many bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.fixture
def files(model_of: Any) -> tuple[Path, Path]:
    prototxt, weights, _ = model_of(NET)
    return prototxt, weights


def says(prototxt: Path, weights: Path | None, **given: Any) -> str:
    with pytest.raises(StriateError) as refused:
        convert(prototxt, weights, **given)
    message = str(refused.value)
    assert "\n" not in message
    for path, word in ((prototxt, "NET"), (weights, "WEIGHTS")):
        message = message.replace(str(path), word)
    return message


def test_a_file_cut_short_anywhere_is_refused(files: tuple[Path, Path]) -> None:
    prototxt, weights = files
    whole = weights.read_bytes()
    for end in range(len(whole)):
        weights.write_bytes(whole[:end])
        message = says(prototxt, weights)
        assert message.startswith("WEIGHTS ")
        assert any(word in message for word in ("cut short", "empty", "no weights", "holds no layers"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "WEIGHTS is empty; expected a caffemodel"),
        (b"\x00\x01", "WEIGHTS is no caffemodel: byte 0 begins no field; is it another kind of file?"),
        (b"PK\x03\x04" + b"x" * 99, "WEIGHTS is no caffemodel"),
        (run(1, b"a net"), "WEIGHTS holds no layers; is it a caffemodel?"),
        (
            varint(100 << 3 | 2) + varint(1 << 40) + b"abc",
            "WEIGHTS is cut short or damaged: field 100 at byte 0 claims 1,099,511,627,776 bytes where 3 are left",
        ),
        (varint(100 << 3 | 2) + b"\xff" * 12, "WEIGHTS is damaged: the number before byte 12 has no end"),
        (run(100, run(1, b"\xff\xfe")), "WEIGHTS"),
        (run(100, b"") * 300_000, "WEIGHTS holds more than 200,000 fields, which no net does; use another file"),
        (run(100, run(7, b"") * 300_000), "WEIGHTS holds more than 200,000 fields"),
        (
            run(100, run(1, b"conv") + run(7, run(5, b"\0" * 8) + run(7, run(1, varint(1 << 40))))),
            "WEIGHTS: blob 0 of layer 'conv' has a side of 1099511627776",
        ),
        (
            run(100, run(1, b"conv") + run(7, run(5, b"\0" * 8) + run(7, run(1, b"\x7f\x7f\x7f\x7f")))),
            "WEIGHTS: blob 0 of layer 'conv' says 127×127×127×127 and holds 2 numbers; use another copy",
        ),
        (
            run(100, run(1, b"conv") + run(7, varint(5 << 3 | 5) + struct.pack("<f", 1) + run(7, run(1, b"\x01")))),
            "WEIGHTS: blob 0 of layer 'conv' says 1 and holds 0 numbers",
        ),
        (
            run(100, run(1, b"conv") + run(7, run(5, b"\0" * 8) + run(7, run(1, b"\x02")))),
            "WEIGHTS: layer 'conv' holds 1 blobs where the net has 2 (weight, bias); is it of another net?",
        ),
        (run(100, run(1, b"other") + run(7, b"")), "WEIGHTS has no weights for conv, ip; is it of another net?"),
    ],
)
def test_weights(files: tuple[Path, Path], content: bytes, message: str) -> None:
    prototxt, weights = files
    weights.write_bytes(content)
    assert says(prototxt, weights).startswith(message)


def test_weights_of_another_shape(files: tuple[Path, Path]) -> None:
    prototxt, weights = files
    prototxt.write_text(NET.replace("num_output: 2", "num_output: 4"))
    message = says(prototxt, weights)
    assert message == "WEIGHTS: weight of layer 'conv' is 2×1×3×3 in the file and 4×1×3×3 in the net"


def layer(text: str) -> str:
    """A net of 3×8×8 images and the layers in `text`; bottom(x) and top(x) may be written as `< x` and `> x`."""
    text = re.sub(r"< (\w+)", r'bottom: "\1"', text)
    text = re.sub(r"> (\w+)", r'top: "\1"', text)
    return 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n' + text


CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer {", "NET is not a prototxt: 1:"),
        ("", "NET is empty; expected a prototxt"),
        ("name: 'nothing'", "NET has no layers; is it the prototxt of a net?"),
        ("layer { name: 3 }", "NET is not a prototxt: 1:15"),
        ("net: 'train.prototxt' base_lr: 1", "NET says how to train, not what the net is; give the net it names"),
        ("a { " * 5000 + "} " * 5000, "NET, line 1: messages nest more than 32 deep, which no net's do"),
        (
            layer('layer { name: "a" type: "ReLU" < b > a } layer { name: "b" type: "ReLU" < a > b }'),
            "NET: layer 'a' takes 'b', which layer 'b' gives only later: the graph runs in a circle, or",
        ),
        (
            layer('layer { name: "a" type: "ReLU" < a > a }'),
            "NET: layer 'a' takes 'a', which only it gives itself: the graph runs in a circle",
        ),
        (layer('layer { name: "a" type: "ReLU" < x > a }'), "NET: layer 'a' takes 'x', which no layer gives"),
        (
            layer('layer { name: "a" type: "ReLU" < data > a } ' * 2),
            "NET: layer 'a' gives 'a', which layer 'a' gives already",
        ),
        (
            layer('layer { name: "a" type: "ReLu" < data > a }'),
            "NET: layer 'a': unknown type of layer 'ReLu'; did you mean 'ReLU'?",
        ),
        (
            layer('layer { name: "a" type: "ReLU" < data < data > a }'),
            "NET: layer 'a' (ReLU) takes 2 blobs; it should take 1",
        ),
        (layer(CONV + " num_output: 2 kernel_size: 9 } }"), "NET: layer 'c' (Convolution) cannot take 3×8×8: "),
        (layer(CONV + " num_output: 2 } }"), "NET: layer 'c' (Convolution): kernel_size is not said; give one number"),
        (layer(CONV + " kernel_size: 3 } }"), "NET: layer 'c' (Convolution): num_output is 0"),
        (layer(CONV + " num_output: 90000000 kernel_size: 3 } }"), "NET: layer 'c' (Convolution): num_output is 9"),
        (layer(CONV + " num_output: 4 group: 2 kernel_size: 3 } }"), "NET: layer 'c' (Convolution): in_channels must"),
        (layer(CONV + " num_output: 4 group: 0 kernel_size: 3 } }"), "NET: layer 'c' (Convolution): "),
        (layer(CONV + " num_output: 4 stride: 0 kernel_size: 3 } }"), "NET: layer 'c' (Convolution)"),
        (layer(CONV + " num_output: 4 kernel_size: 3 pad: 4294967295 } }"), "NET: layer 'c' (Convolution)"),
        (
            layer('layer { name: "p" type: "Pooling" < data > p pooling_param { pool: STOCHASTIC } }'),
            "NET: layer 'p' (Pooling): stochastic pooling is not known here",
        ),
        (
            layer('layer { name: "p" type: "Pooling" < data > p pooling_param { kernel_size: 1 stride: 3 } }'),
            "NET: layer 'p' (Pooling): its last window lies outside of 8 px (kernel 1, stride 3): Caffe has no",
        ),
        (
            layer('layer { name: "l" type: "LRN" < data > l lrn_param { local_size: 4 } }'),
            "NET: layer 'l' (LRN): local_size is 4; a window has a middle only when it is odd",
        ),
        (
            layer('layer { name: "s" type: "Slice" < data > s > t }'),
            "NET: layer 's' (Slice): cannot cut 3 into 2 pieces at 1",
        ),
        (
            layer('layer { name: "c" type: "Concat" < data < data > c concat_param { axis: 0 } }'),
            "NET: layer 'c' (Concat): it works across the images of a batch, which a net here does not",
        ),
        (
            layer('layer { name: "r" type: "Reshape" < data > r reshape_param { shape { dim: -1 dim: 32 } } }'),
            "NET: layer 'r' (Reshape): it works across the images of a batch, which a net here does not",
        ),
        (
            'layer { name: "d" type: "Data" top: "d" } ' + CONV.replace("data", "d") + "num_output: 2 } }",
            "NET does not say the size of its images; give it: --image 3x32x32 (channels first)",
        ),
        (
            layer('input: "more" layer { name: "e" type: "Eltwise" < data < more > e }'),
            "NET: a net here takes one batch of images, and e is made of: data, more",
        ),
        (layer('layer { name: "s" type: "Silence" < data }'), "NET: no layer computes anything"),
        (layer("layers { layer { name: 'old' type: 'conv' } }"), "NET is of Caffe's oldest format"),
    ],
)  # fmt: skip
def test_prototxts(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    assert says(path, None).startswith(message)


def test_what_is_no_file_or_no_text(tmp_path: Path) -> None:
    assert says(tmp_path, None) == "NET is a folder; expected a prototxt"
    assert says(tmp_path / "none", None) == "NET is not there; expected a prototxt"
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert says(tmp_path / "binary", None) == "NET is not text; give the .prototxt first, then the .caffemodel"
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that is nowhere
    assert says(tmp_path / "giant", None).startswith("NET has 1,099,511,627,776 bytes, more than a prototxt can have")
    with pytest.raises(StriateError, match="more than a caffemodel can have"):
        read_weights(tmp_path / "giant")
    with pytest.raises(StriateError, match="is not there; expected a caffemodel"):
        read_weights(Path("/dev/zero-or-any-other"))


def test_a_mean(files: tuple[Path, Path], tmp_path: Path) -> None:
    mean = tmp_path / "mean.binaryproto"
    mean.write_bytes(run(5, np.zeros(2 * 36, "<f4").tobytes()) + run(7, run(1, b"\x01\x02\x06\x06")))
    message = says(*files, mean=mean).replace(str(mean), "MEAN")
    assert message == "MEAN is 1×2×6×6; the net takes 1×height×width"
    mean.write_bytes(run(5, np.zeros(25, "<f4").tobytes()) + run(7, run(1, b"\x01\x05\x05")))
    assert says(*files, mean=mean) == "a mean of 5×5 px is smaller than images of 6×6"
    assert says(*files, mean=(1, 2)) == "2 mean values for 1 channels; give one for all, or one for each"
    mean.write_bytes(b"\xff\xff")
    with pytest.raises(StriateError, match="is damaged or not one of Caffe's files"):
        read_blob(mean)


def test_giant_claims_take_no_memory(files: tuple[Path, Path]) -> None:
    """A net of 5·10¹³ weights in a file of a few hundred bytes."""
    prototxt, weights = files
    text = NET.replace("num_output: 2", "num_output: 16000000")
    prototxt.write_text(text.replace("num_output: 3", "num_output: 200000"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "16000000×1×3×3 in the net" in says(prototxt, weights)
    prototxt.write_text(text.replace("num_output: 3", "num_output: 16000000"))
    assert says(prototxt, weights) == "NET: ip has 16,000,000 values, which are no class scores"
    prototxt.write_text(text.replace("num_output: 3", "num_output: 200000"))
    message = "the prototxt asks for 51,200,160,200,000 parameters, more than any net here (1,073,741,824)"
    assert says(prototxt, None) == message
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10  # KiB


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_of_weights(files: tuple[Path, Path], flips: list[tuple[float, int]]) -> None:
    """Nothing but one line comes out, whatever the bytes; some flips only change a number."""
    prototxt, weights = files
    spoilt = weights.with_name("spoilt.caffemodel")
    data = bytearray(weights.read_bytes())
    for place, value in flips:
        data[int(place * len(data))] = value
    spoilt.write_bytes(data)
    refused_in_one_line(prototxt, spoilt)


@given(
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 0.1), st.text("{}:\"<>[]-0123456789 \n'#x\\", max_size=8)), max_size=4
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_spoilt_text(files: tuple[Path, Path], cuts: list[tuple[float, float, str]]) -> None:
    prototxt, weights = files
    spoilt = prototxt.with_name("spoilt.prototxt")
    text = prototxt.read_text()
    for place, length, put in cuts:
        start = int(place * len(text))
        text = text[:start] + put + text[start + int(length * len(text)) :]
    spoilt.write_text(text)
    refused_in_one_line(spoilt, weights)


@given(data=st.binary(max_size=64))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(files: tuple[Path, Path], data: bytes) -> None:
    prototxt, _ = files
    path = prototxt.with_name("any.caffemodel")
    path.write_bytes(data)
    refused_in_one_line(prototxt, path)


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FC00000, 0xFF800000], ids=["signalling NaN", "NaN", "infinity"])
def test_numbers_that_are_not_finite_are_refused(model_of: Any, bits: int) -> None:
    prototxt, weights, blobs = model_of(NET)
    first = np.float32(next(iter(blobs.values()))[0].flat[0]).tobytes()
    data = weights.read_bytes()
    assert data.count(first) == 1
    weights.write_bytes(data.replace(first, struct.pack("<I", bits)))
    assert says(prototxt, weights) == (
        "WEIGHTS: weight of layer 'conv' has 1 of 18 numbers that are NaN or infinite; is the file damaged?"
    )


def refused_in_one_line(prototxt: Path, weights: Path) -> None:
    try:
        convert(prototxt, weights)
    except StriateError as error:
        assert "\n" not in str(error)  # noqa: PT017  # whether it is refused is not the question


def test_unknown_fields_are_named_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "fork.prototxt"
    path.write_text(
        layer(CONV + " num_output: 2 kernel_size: 3 }\n  swish_param { beta: 2 deeper { x: 'a: b' } } }\nodd: 3")
    )
    notes = convert(path).notes
    assert [note.removeprefix(f"{path}, ") for note in notes] == [
        "line 3: swish_param is not known here and was not read",
        "line 4: odd is not known here and was not read",
    ]


def test_a_softmax_that_only_a_loss_reads_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        NET + 'layer { name: "a" type: "Accuracy" bottom: "prob" bottom: "label" top: "a" }'
        'layer { name: "l" type: "Data" top: "label" include { phase: TRAIN } }'
    )
    made = convert(path)
    assert made.net.graph.output_name == "ip"
    assert {row.name: row.status for row in made.layers}["prob"] == "left out: the net gives scores"
    assert convert(path, output="prob").net.graph.output_name == "ip"
    assert says(path, None, output="prop") == "NET: unknown output 'prop'; did you mean 'prob'?"
    assert says(path, None, resize=(4, 9)) == "images brought to 4×9 px have no middle of 6×6 px"
    assert says(path, None, classes="ab") == "NET gives 3 scores and 2 class names were given"


FLAT = """
layer { name: "f" type: "Flatten" bottom: "prob" top: "f" }
layer { name: "d" type: "Dropout" bottom: "f" top: "f" }
"""


@pytest.mark.parametrize(("more", "output"), [("", ""), ("", "prob"), (FLAT, ""), (FLAT, "f"), (FLAT, "prob")])
def test_no_softmax_is_taken_twice(model_of: Any, more: str, output: str) -> None:
    """Whoever turns scores into probabilities takes one, so the net takes none at its end, wherever that is."""
    prototxt, weights, _ = model_of(NET)
    x = torch.linspace(0, 255, 72).view(2, 1, 6, 6)
    scores = convert(prototxt, weights, output="ip").net(x)
    prototxt.write_text(NET + more)
    made = convert(prototxt, weights, output=output)
    assert torch.equal(made.net(x), scores)
    assert {row.name: row.status for row in made.layers}["prob"] == "left out: the net gives scores"


def test_a_softmax_in_the_middle_or_over_pixels_is_computed(model_of: Any) -> None:
    prototxt, _, _ = model_of(NET)
    for more in (
        'layer { name: "p" type: "Power" bottom: "prob" top: "p" power_param { scale: 2 } }',
        'layer { name: "s" type: "Softmax" bottom: "conv" top: "s" softmax_param { axis: 3 } }'
        'layer { name: "f" type: "Flatten" bottom: "s" top: "f" }',
    ):
        prototxt.write_text(NET + more)
        kinds = [step.layer.type for step in convert(prototxt).net.graph.steps]
        assert kinds.count("Softmax") == 1


def test_what_dummy_data_say_of_their_size_in_the_old_way(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "d" type: "DummyData" top: "data" top: "label" '
        "dummy_data_param { num: 4 num: 4 channels: 2 channels: 1 height: 9 height: 1 width: 7 width: 1 } }"
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }'
    )
    assert (convert(path).card.in_chans, convert(path).card.input_size) == (2, (9, 7))


def test_every_type_of_the_old_format(model_of: Any) -> None:
    """What both formats can say computes the same in both; blobs of four sides included."""
    types = ["ABSVAL", "BNLL", "DROPOUT", "EXP", "FLATTEN", "LRN", "POWER", "RELU", "SIGMOID", "SPLIT", "TANH"]
    kinds = ["AbsVal", "BNLL", "Dropout", "Exp", "Flatten", "LRN", "Power", "ReLU", "Sigmoid", "Split", "TanH"]
    for old, new in zip(types, kinds, strict=True):
        found = []
        for word, kind, convolution in (("layers", old, "CONVOLUTION"), ("layer", f'"{new}"', '"Convolution"')):
            text = layer(
                f'{word} {{ name: "c" type: {convolution} bottom: "data" top: "c" convolution_param {{ num_output: 2 '
                f'kernel_size: 3 }} }} {word} {{ name: "x" type: {kind} bottom: "c" top: "x" }}'
            )
            prototxt, weights, _ = model_of(text, old=word == "layers")
            net = convert(prototxt, weights).net
            found.append(net.head(net.features(torch.full((1, 3, 8, 8), 0.1))))
        assert torch.equal(*found), old


def test_both_formats_in_one_file_is_read_as_caffe_does() -> None:
    old = 'layers { name: "r" type: RELU bottom: "data" top: "r" blobs_lr: 2 }'
    net = parse_net(layer(old + ' layer { name: "s" type: "Softmax" bottom: "r" top: "s" }'), "net")
    from striate.nets.caffe.layer import layers_of

    assert [(one.name, one.type, one.lr_mult) for one in layers_of(net)] == [("r", "ReLU", (2.0,))]
