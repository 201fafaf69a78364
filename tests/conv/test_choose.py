"""The choice of an algorithm: the cost model, the measurement, the cache, the limits, the explanation."""

import contextlib
import json
import os
from pathlib import Path

import pytest
import torch

from striate.conv import ConvShape, WrongShape, best_algorithm, cache, choose, explain, from_blocked, plan, refusal
from striate.conv.measure import Measurement, _Inputs, measure

VGG = ConvShape.of((1, 16, 24, 24), (16, 16, 3, 3), padding=1)


@contextlib.contextmanager
def asking_for_ieee():
    choose.ask_for_ieee()
    try:
        yield
    finally:
        torch.backends.mkldnn.conv.fp32_precision = "none"


@pytest.mark.parametrize("pass_", ["forward", "backward_data", "backward_weights"])
def test_what_is_measured_is_near_float64(pass_):
    candidates = [*choose.possible(VGG, pass_, "nchw", "nchw"), "torch"]
    for name, m in measure(VGG, pass_, candidates).items():
        assert 0 < m.relative_error < 1e-4, name
        assert m.seconds > 0
        assert m.packed_seconds > 0


def test_a_wrong_result_shows_in_the_measured_error(monkeypatch):
    from striate.conv.plans import Plan

    right = Plan.run
    monkeypatch.setattr(Plan, "run", lambda self, *a, **k: right(self, *a, **k) * 1.01)
    assert measure(VGG, "forward", ["winograd2"])["winograd2"].relative_error > 5e-3


def test_the_cost_model_knows_winograd_and_the_direct_sum():
    """2.25, 4, 4.59 and 5.06 times fewer products (Lavin and Gray 2015), before transforms."""
    large = ConvShape.of((1, 512, 60, 60), (512, 512, 3, 3), padding=1)
    for m, fewer in ((2, 2.25), (4, 4.0), (5, 4.592), (6, 5.0625)):
        assert large.macs / choose.work(large, f"winograd{m}") == pytest.approx(fewer, rel=0.1)
    along = ConvShape.of((1, 512, 24, 24), (512, 512, 1, 7), padding=(0, 3))
    for m, fewer in ((2, 1.75), (4, 2.8), (6, 3.5)):
        assert along.macs / choose.work(along, f"winograd{m}") == pytest.approx(fewer, rel=0.12)
    strided = ConvShape.of((1, 512, 120, 120), (512, 512, 3, 3), stride=2, padding=1)  # (3 m / (2 m + 1))²
    for m, fewer in ((2, 1.44), (4, 1.778), (5, 1.86), (6, 1.917)):
        assert strided.macs / choose.work(strided, f"winograd{m}") == pytest.approx(fewer, rel=0.12)


def test_strassen_has_to_be_asked_for():
    """Its bound is by norms, so measuring it on one sample is not enough to choose it for others."""
    large = ConvShape.of((1, 512, 16, 16), (512, 512, 1, 1))
    assert not refusal("strassen", "forward", large)
    assert "strassen" not in choose.possible(large, "forward", "nchw", "nchw")
    small = ConvShape.of((1, 512, 7, 7), (512, 512, 3, 3), padding=1)
    assert refusal("strassen", "forward", small) == (
        "halves products of at least 128 maps out, pixels and maps in × taps, not of 512, 49 and 4608"
    )


def test_limits(monkeypatch):
    known = {
        "winograd6": Measurement(1.0, 1.0, 1e-3, 10),
        "winograd4": Measurement(2.0, 2.0, 1e-6, 10_000),
        "winograd2": Measurement(3.0, 0.5, 1e-7, 100),
    }
    monkeypatch.setattr(choose, "measured", lambda *_, **__: known)
    best_algorithm.cache_clear()
    assert best_algorithm(VGG) == "winograd4"
    assert best_algorithm(VGG, packed=True) == "winograd2"
    assert best_algorithm(VGG, max_rel_error=1.0) == "winograd6"
    assert best_algorithm(VGG, workspace_limit=1000) == "winograd2"
    assert best_algorithm(VGG, workspace_limit=1) == "winograd6"  # nothing fits: what needs least
    best_algorithm.cache_clear()


def test_measured_once_and_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CONV_CACHE", str(tmp_path / "conv"))
    cache._known.cache_clear()
    times = []
    monkeypatch.setattr(
        choose, "measure", lambda *a, **k: times.append(1) or {n: Measurement(1.0, 1.0, 1e-6, 0) for n in a[2]}
    )
    choose.measured(VGG, "forward", threads=1)
    choose.measured(VGG, "forward", threads=1)
    assert len(times) == 1
    cache._known.cache_clear()  # as a new process
    choose.measured(VGG, "forward", threads=1)
    assert len(times) == 1
    choose.measured(VGG, "forward", threads=2)  # another number of threads is another machine
    assert len(times) == 2
    (path, _) = sorted((tmp_path / "conv").iterdir())
    assert json.loads(path.read_text())


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """What was measured, in order: batches; the first look finds winograd4 at 3 s, im2col is 6 s, all else 2 s."""
    monkeypatch.setenv("STRIATE_CONV_CACHE", str(tmp_path))
    cache._known.cache_clear()
    batches = []

    def look(shape, pass_, names, **_):
        batches.append(shape.batch)
        slow = {"winograd4": 3.0} if len(batches) == 1 else {"winograd4": 1.0}
        slow["im2col"] = 6.0
        return {name: Measurement(slow.get(name, 2.0), slow.get(name, 2.0), 1e-6, 0) for name in names}

    monkeypatch.setattr(choose, "measure", look)
    yield batches
    cache._known.cache_clear()


def test_a_second_look_forgives_a_slow_moment(looks):
    assert choose.measured(VGG, "forward", threads=1)["winograd4"].seconds == 3.0
    for _ in range(3):
        known = choose.measured(VGG, "forward", threads=1, looks=2)
        assert known["winograd4"].seconds == 1.0
        assert known["winograd2"].seconds == 2.0
        assert known["winograd4"].looks == 2
    assert len(looks) == 2


def test_a_second_look_leaves_out_the_slow(looks):
    first = choose.measured(VGG, "forward", threads=1)
    again = choose.measured(VGG, "forward", threads=1, looks=2)
    assert again.keys() == first.keys()
    assert {name for name, m in again.items() if m.looks == 1} == {"im2col"}
    assert again["im2col"] == first["im2col"]


def test_of_a_large_batch_a_part_is_measured(looks):
    large = ConvShape.of((640, 16, 240, 240), (16, 16, 3, 3), padding=1)
    part = choose.measured_batch(large)
    assert part == 17  # 17 · 132,710,400 multiply-adds are the first to be more than 2³¹
    known = choose.measured(large, "forward", threads=1)
    assert looks == [part]
    assert known["winograd2"].seconds == pytest.approx(2.0 * 640 / part)
    prepared = plan(large, "winograd2", threads=1)
    assert known["winograd2"].workspace_bytes == prepared.workspace_bytes + prepared.packed_bytes
    half = ConvShape.of((320, 16, 240, 240), (16, 16, 3, 3), padding=1)
    assert choose.measured(half, "forward", threads=1)["winograd2"].seconds == pytest.approx(320 * 2.0 / part)
    assert looks == [part]  # what was measured serves every large batch


def test_where_there_is_no_candidate_nothing_is_measured(looks):
    """Depthwise in bfloat16, from one layout to another: neither we nor torch, without a copy."""
    depthwise = ConvShape.of((1, 16, 24, 24), (16, 1, 3, 3), padding=1, groups=16)
    settings = {"to_layout": "channels_last", "element": "bfloat16", "with_torch": True, "threads": 1}
    for wanted in (1, 2):
        assert choose.measured(depthwise, "forward", looks=wanted, **settings) == {}
    assert looks == []


def test_a_damaged_cache_counts_as_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("STRIATE_CONV_CACHE", str(tmp_path))
    cache._known.cache_clear()
    known = {"winograd2": Measurement(1.0, 1.0, 1e-6, 0)}
    cache.store("key", 1, known)
    (path,) = tmp_path.iterdir()
    for damage in ("", "[1]", '{"key": {"winograd2": {"seconds": 1}}}', path.read_text()[:-9]):
        path.write_text(damage)
        cache._known.cache_clear()
        assert cache.load("key", 1) == {}
    cache.store("key", 1, known)
    cache._known.cache_clear()
    assert cache.load("key", 1) == known


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRIATE_CONV_CACHE", str(tmp_path / "file"))
    cache._known.cache_clear()
    cache.store("key", 1, {"winograd2": Measurement(1.0, 1.0, 1e-6, 0)})
    assert cache.load("key", 1)


def test_without_measuring_the_cost_model_decides(monkeypatch):
    monkeypatch.setenv("STRIATE_CONV_MEASURE", "0")
    best_algorithm.cache_clear()
    assert best_algorithm(VGG) == choose.possible(VGG, "forward", "nchw", "nchw")[0]
    assert best_algorithm(VGG, with_torch=True) == "torch"
    best_algorithm.cache_clear()


def test_the_explanation_is_a_table_with_reasons():
    explanation = explain(ConvShape.of((1, 8, 16, 16), (8, 8, 3, 3), stride=3, padding=1))
    text = str(explanation)
    assert "8→8, 3×3/3 @ 16×16, N=1, forward" in text
    assert "winograd4" in text
    assert "takes strides 1 and 2, not 3" in text
    assert explanation.chosen in {row.algorithm for row in explanation.rows}
    by_name = {row.algorithm: row for row in explanation.rows}
    assert by_name["torch"].seconds is not None
    assert by_name["winograd4"].seconds is None


def test_the_explanation_says_that_a_part_was_measured(looks):
    assert "; measured on 17 of the images\n" in str(
        explain(ConvShape.of((64, 16, 240, 240), (16, 16, 3, 3), padding=1))
    )
    assert "measured on" not in str(explain(VGG))


def test_the_explanation_is_of_the_threads_it_is_asked_for(monkeypatch):
    seen, threads = [], torch.get_num_threads()
    monkeypatch.setattr(_Inputs, "_torch", lambda self: seen.append(torch.get_num_threads()) or self.x)
    monkeypatch.setattr(_Inputs, "error", lambda *_: 0.0)
    assert ", forward, 1 thread; chosen: " in str(explain(VGG, threads=1))
    assert ", forward, 3 threads; chosen: " in str(explain(VGG, threads=3))
    assert set(seen) == {1, 3}  # torch, who is measured as well, has as many
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("sizes", [((2, 3, 8, 8), (0, 3, 3, 3)), ((2, 0, 8, 8), (4, 0, 3, 3))])
def test_where_nothing_is_multiplied_nothing_is_measured_to_explain_it(sizes):
    explanation = explain(ConvShape.of(*sizes))
    assert explanation.chosen == "reference"
    assert {row.note for row in explanation.rows} >= {"nothing to multiply"}


def test_names_that_do_not_exist():
    with pytest.raises(WrongShape, match="unknown element 'float16'; did you mean 'bfloat16'"):
        plan(VGG, "direct", element="float16")
    with pytest.raises(WrongShape, match="from_blocked: 1 × 16 channels in blocks are not 17 channels"):
        from_blocked(torch.zeros(1, 1, 2, 2, 16), 17)
    with pytest.raises(WrongShape, match="unknown algorithm 'winogard'; did you mean 'winograd"):
        refusal("winogard", "forward", VGG)
    with pytest.raises(WrongShape, match="torch states no error bound; algorithms do: reference"):
        choose.error_bound(VGG, "forward", "torch")


def test_tiny_shapes_and_no_images_need_no_measurement(monkeypatch):
    monkeypatch.setattr(choose, "measured", lambda *_, **__: pytest.fail("measured"))
    assert best_algorithm(ConvShape.of((0, 3, 8, 8), (4, 3, 3, 3))) == "reference"


def test_torch_threads_are_joined_where_they_can_be():
    from striate.conv.team import join_torch

    assert isinstance(join_torch(), bool)
    assert torch.get_num_threads() >= 1


def test_whoever_asks_torch_for_ieee_gets_no_products_of_bfloat16(monkeypatch):
    """On a machine with AMX the three-product algorithms are candidates, unless torch was told otherwise."""
    monkeypatch.setattr(choose._native, "bfloat16_unit", lambda: "amx")
    assert not choose.asked_for_ieee()
    names = choose.possible(VGG, "forward", "nchw", "nchw")
    assert {"direct_bf16x3", "winograd4_bf16x3"} <= set(names)
    with asking_for_ieee():
        assert choose.asked_for_ieee()
        assert choose.possible(VGG, "forward", "nchw", "nchw") == [n for n in names if not n.endswith("_bf16x3")]


def test_three_products_for_one_are_not_tried_without_amx(monkeypatch):
    monkeypatch.setattr(choose._native, "bfloat16_unit", lambda: "avx2")
    assert not [n for n in choose.possible(VGG, "forward", "nchw", "nchw") if n.endswith("_bf16x3")]


def test_blocks_of_maps_that_are_not_there_are_work():
    stem = ConvShape.of((1, 3, 56, 56), (64, 3, 3, 3), padding=1)
    assert choose.work(stem, "direct_bf16x3") == pytest.approx(stem.macs / choose.SPEED_OF_SPLIT * 32 / 3)


def test_the_explanation_says_why_products_of_bfloat16_are_not_tried(monkeypatch):
    monkeypatch.setattr(choose._native, "bfloat16_unit", lambda: "avx512_bf16")
    notes = {row.algorithm: row.note for row in explain(VGG).rows}
    assert notes["direct_bf16x3"] == "not tried: three products for one, which only AMX makes up for"
    with asking_for_ieee():
        notes = {row.algorithm: row.note for row in explain(VGG).rows}
    assert notes["winograd4_bf16x3"] == "not tried: torch's fp32_precision asks for ieee"


@pytest.mark.parametrize(
    "text", ['{"seconds": null}', '{"seconds": "1"}', '{"seconds": -1}', '{"seconds": NaN}', "[" * 100_000]
)
def test_a_cache_of_what_is_no_measurement_counts_as_empty(tmp_path, monkeypatch, text):
    monkeypatch.setenv("STRIATE_CONV_CACHE", str(tmp_path))
    entry = {"seconds": 1.0, "packed_seconds": 1.0, "relative_error": 0.0, "workspace_bytes": 0}
    cache.store("key", 1, {"direct": Measurement(**entry)})
    (path,) = tmp_path.iterdir()
    whole = text if text.startswith("[") else json.dumps({"key": {"direct": entry | json.loads(text)}})
    path.write_text(whole)
    cache._known.cache_clear()
    assert cache.load("key", 1) == {}


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    monkeypatch.delenv("STRIATE_CONV_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", lambda _: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache._path(1) is None


def test_the_cache_folder_may_be_named_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STRIATE_CONV_CACHE", "~/choices")
    assert cache._path(1).parent == tmp_path / "choices"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_forked_while_the_cache_is_written_has_its_own_lock():
    with cache._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if cache._lock.acquire(timeout=5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
