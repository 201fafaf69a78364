"""Downloads from a server on this machine that drops the line, forgets ranges, changes files and lies.

Long, because it is a list of what can go wrong, told to one server.
"""

import functools
import gzip
import hashlib
import http.server
import io
import itertools
import json
import os
import struct
import tarfile
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from striate import data
from striate.data import named
from striate.download import Patience, Remote, transfer
from striate.errors import StriateError

fetch = functools.partial(transfer.fetch, moved_by="WHERE")

BODY = np.random.default_rng(0).bytes(1_000_000)
OTHER = np.random.default_rng(1).bytes(900_000)
QUICK = Patience(attempts=3, wait=0.001, timeout=5)


@dataclass
class Plan:
    """How the server answers: `cuts[i]` is how many bytes request i gets before the line drops, None for all."""

    body: bytes = BODY
    etag: str | None = '"v1"'
    cuts: list[int | None] = field(default_factory=list)
    ranges: bool = True
    status: list[int] = field(default_factory=list)
    shift: int = 0  # answer ranges from somewhere else than asked
    after: "Plan | None" = None  # what becomes of it after `cuts` are used up
    length: bool = True
    claimed: int = 0  # bytes more than there are, in Content-Length
    at_most: int | None = None  # of a range, however many are asked for
    location: str | None = None  # where it sends one on to
    said: str = "Busy"
    asked: list[str | None] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    plans: dict[str, Plan] = {}  # noqa: RUF012  the class is the server's only state; each test has its own

    def do_GET(self):
        plan = self.plans.get(self.path)
        if plan is None:
            return self.send_error(404, "Not Found")
        number = len(plan.asked)
        wanted = self.headers.get("Range")
        plan.asked.append(wanted)
        if number < len(plan.status) and plan.status[number] != 200:
            return self.send_error(plan.status[number], plan.said)
        if plan.location is not None:
            self.send_response(302)
            self.send_header("Location", plan.location)
            return self.end_headers()
        cut = plan.cuts[number] if number < len(plan.cuts) else None
        if plan.after is not None and number >= len(plan.cuts):
            plan = plan.after
        start = int(wanted[6:-1]) if wanted else 0
        partial = wanted and plan.ranges and self.headers.get("If-Range") == plan.etag
        if partial and start >= len(plan.body):
            return self.send_error(416, "Range Not Satisfiable")
        start = start + plan.shift if partial else 0
        end = start + plan.at_most if partial and plan.at_most else len(plan.body)
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(plan.body)}")
        if plan.etag:
            self.send_header("ETag", plan.etag)
        if plan.length:
            self.send_header("Content-Length", str(min(end, len(plan.body)) - start + plan.claimed))
        self.end_headers()
        piece = plan.body[start:end] if cut is None else plan.body[start : start + cut]
        self.wfile.write(piece)
        self.close_connection = True
        return None

    def log_message(self, *given):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Handler,), {"plans": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.plans = handler.plans
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()
        thread.join()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def remote(server, *paths, **stated):
    urls = tuple(server.url + path for path in paths or ("/file",))
    return Remote(urls=urls, stated_at="the publisher's page", **(stated or {"md5": md5(BODY)}))


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download(server, tmp_path):
    server.plans["/file"] = Plan()
    seen = []
    path = fetch(
        remote(server), tmp_path / "deep" / "file.gz", progress=lambda *given: seen.append(given), patience=QUICK
    )
    assert path.read_bytes() == BODY
    assert left_in(path.parent) == ["file.gz"]
    assert seen[-1] == ("file.gz", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_what_is_there_is_not_asked_for(server, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    assert fetch(remote(server), tmp_path / "file").read_bytes() == b"mine"


def test_a_dropped_line_is_taken_up_where_it_broke(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000, 1, 0, 400_000])
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == [None, "bytes=300000-", "bytes=300001-", "bytes=300001-", "bytes=700001-"]


def test_a_killed_download_is_taken_up_by_the_next_run(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000, 0, 0, 0])
    with pytest.raises(
        StriateError, match=r"cannot download file \(127\.0\.0\.1:\d+: the connection broke after 300000 of"
    ):
        fetch(remote(server), tmp_path / "file", patience=QUICK)
    assert left_in(tmp_path) == ["file.part", "file.part.json"]
    assert (tmp_path / "file.part").stat().st_size == 300_000
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked[-1] == "bytes=300000-"
    assert left_in(tmp_path) == ["file"]


def test_all_there_but_not_yet_renamed(server, tmp_path):
    plan = server.plans["/file"] = Plan()
    (tmp_path / "file.part").write_bytes(BODY)
    note = {"url": server.url + "/file", "version": '"v1"', "total": len(BODY)}
    (tmp_path / "file.part.json").write_text(json.dumps(note))
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == []


def test_a_server_without_ranges_starts_over(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000, 500_000], ranges=False)
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert len(plan.asked) == 3


def test_a_server_without_versions_is_not_asked_for_a_part(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000], etag=None)
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == [None, None]


def test_a_weak_etag_is_no_version(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000], etag='W/"v1"')
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == [None, None]


@pytest.mark.parametrize("resumed_by", ["the same run", "the next run"])
def test_a_file_that_changes_in_between_is_never_mixed(server, tmp_path, resumed_by):
    plan = Plan(cuts=[300_000], after=Plan(body=OTHER, etag='"v2"'))
    server.plans["/file"] = plan
    stated = remote(server, md5=md5(OTHER))
    if resumed_by == "the next run":
        with pytest.raises(StriateError):
            fetch(stated, tmp_path / "file", patience=Patience(attempts=0, wait=0.001))
    assert fetch(stated, tmp_path / "file", patience=QUICK).read_bytes() == OTHER


def test_a_resumed_part_that_was_spoilt_on_the_disk_is_begun_once_more(server, tmp_path):
    plan = server.plans["/file"] = Plan()
    (tmp_path / "file.part").write_bytes(b"?" * 300_000)
    (tmp_path / "file.part.json").write_text(json.dumps({"url": server.url + "/file", "version": '"v1"'}))
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == ["bytes=300000-", None]


def test_a_part_longer_than_the_file_is_begun_once_more(server, tmp_path):
    server.plans["/file"] = Plan()
    (tmp_path / "file.part").write_bytes(BODY + b"more")
    (tmp_path / "file.part.json").write_text(json.dumps({"url": server.url + "/file", "version": '"v1"'}))
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY


def test_a_part_from_elsewhere_or_without_a_note_is_begun_once_more(server, tmp_path):
    for note in (None, "{not json", "[]", json.dumps({"url": "http://elsewhere/file", "version": '"v1"'})):
        plan = server.plans["/file"] = Plan()
        (tmp_path / "file.part").write_bytes(b"?" * 1000)
        if note is not None:
            (tmp_path / "file.part.json").write_text(note)
        assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
        assert plan.asked == [None]
        (tmp_path / "file").unlink()


def test_a_piece_that_was_not_asked_for_is_refused(server, tmp_path):
    server.plans["/file"] = Plan(cuts=[300_000, None], shift=7, after=Plan())
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(claimed=10), "HTTP 416"),
        (Plan(cuts=[300_000, 300_000] * 500, shift=7), "the server sent another piece than it was asked for"),
    ],
    ids=["promises more than it has", "breaks, then sends another piece"],
)
def test_a_server_that_has_one_begin_anew_for_ever_is_given_up(server, tmp_path, plan, message):
    server.plans["/file"] = plan
    with pytest.raises(StriateError, match=message):
        fetch(remote(server), tmp_path / "file", patience=QUICK)
    assert len(plan.asked) <= 2 * QUICK.attempts
    assert left_in(tmp_path) == []


def test_a_range_may_be_answered_with_less_of_it(server, tmp_path):
    plan = server.plans["/file"] = Plan(cuts=[300_000], at_most=400_000)
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert plan.asked == [None, "bytes=300000-", "bytes=700000-"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(location="/file"), "HTTP 302 The HTTP server returned a redirect error that would lead to an infinite"),
        (Plan(location="http://[::1"), r"it answers with what is no address \(Invalid IPv6 URL\)"),
        (Plan(location="file:///etc/hosts"), "HTTP 302 Found - Redirection to url 'file:///etc/hosts' is not allowed"),
        (Plan(status=[500] * 3, said="\x1b[31mred"), r"HTTP 500 \?\[31mred"),
    ],
    ids=["in circles", "to no address", "to a file of this machine", "to a terminal"],
)
def test_what_a_server_says_is_one_line_that_can_be_shown(server, tmp_path, plan, message):
    server.plans["/file"] = plan
    with pytest.raises(StriateError, match=message) as caught:
        fetch(remote(server), tmp_path / "file", patience=QUICK)
    assert str(caught.value).isprintable()
    assert left_in(tmp_path) == []


def test_an_answer_without_a_length(server, tmp_path):
    server.plans["/file"] = Plan(length=False)
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY


def test_a_busy_server_is_asked_again(server, tmp_path):
    plan = server.plans["/file"] = Plan(status=[503, 429])
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert len(plan.asked) == 3


def test_waits_double(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(transfer.time, "sleep", waits.append)
    server.plans["/file"] = Plan(status=[500] * 9)
    with pytest.raises(StriateError, match="HTTP 500 Busy"):
        fetch(remote(server), tmp_path / "file", patience=Patience(attempts=5, wait=1))
    assert waits == [1, 2, 4, 8]


def test_the_next_address_is_asked(server, tmp_path):
    server.plans["/garbage"] = Plan(body=b"<html>Please log in to this network</html>")
    server.plans["/file"] = Plan()
    path = fetch(remote(server, "/none", "/garbage", "/file"), tmp_path / "file", patience=QUICK)
    assert path.read_bytes() == BODY
    assert left_in(tmp_path) == ["file"]


def test_no_address_has_it(server, tmp_path):
    message = (
        r"cannot download file \(127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+: HTTP 404 Not Found\); run the command again "
        rf"later, it goes on where it stopped, or put the file into {tmp_path} yourself"
    )
    with pytest.raises(StriateError, match=message):
        fetch(remote(server, "/a", "/b"), tmp_path / "file", patience=QUICK)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"md5": "0" * 32}, r"its md5 is [0-9a-f]{32} where the publisher's page states 0{32}; it was thrown away"),
        ({"sha256": "0" * 64}, r"its sha256 is [0-9a-f]{64} where the publisher's page states 0{64}"),
        ({"size": 7, "md5": md5(BODY)}, r"1000000 bytes arrived where the publisher's page states 7"),
    ],
)
def test_a_file_that_is_not_as_stated_is_thrown_away(server, tmp_path, stated, message):
    server.plans["/file"] = Plan()
    with pytest.raises(StriateError, match=message):
        fetch(remote(server, **stated), tmp_path / "file", patience=QUICK)
    assert left_in(tmp_path) == []


def test_what_was_seen_first_is_held_to_where_nothing_is_stated(server, tmp_path):
    server.plans["/file"] = Plan()
    unstated = Remote(urls=(server.url + "/file",))
    path = fetch(unstated, tmp_path / "file", patience=QUICK)
    record = json.loads((tmp_path / "file.seen.json").read_text())
    assert (record["size"], record["sha256"]) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    path.unlink()
    fetch(unstated, path, patience=QUICK).unlink()
    server.plans["/file"] = Plan(body=OTHER)
    message = r"its 900000 bytes are not the 1000000 bytes first seen on \d{4}-\d\d-\d\d; .* delete .*file\.seen\.json"
    with pytest.raises(StriateError, match=message):
        fetch(unstated, path, patience=QUICK)
    assert left_in(tmp_path) == ["file.seen.json"]
    (tmp_path / "file.seen.json").write_text("{}")
    with pytest.raises(StriateError, match=r"file\.seen\.json cannot be read .*delete it to trust the next download"):
        fetch(unstated, path, patience=QUICK)
    (tmp_path / "file.seen.json").unlink()
    assert fetch(unstated, path, patience=QUICK).read_bytes() == OTHER


def test_nobody_listens(server, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    nowhere = Remote(urls=(f"http://127.0.0.1:{port}/file",), md5="0" * 32)
    with pytest.raises(StriateError, match=r"cannot download file \(127\.0\.0\.1:\d+: no connection \(.*refused\)\)"):
        fetch(nowhere, tmp_path / "file", patience=QUICK)


def test_offline_is_said_at_once(tmp_path, monkeypatch):
    def nowhere(*given, **more):
        raise transfer.socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(transfer.socket, "getaddrinfo", nowhere)
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: pytest.fail("waited, and nothing had begun"))
    away = Remote(urls=("http://a.example/file", "http://b.example/file"), md5="0" * 32)
    message = (
        r"cannot download file \(a\.example, b\.example: its address cannot be looked up; is this machine offline\?\)"
    )
    with pytest.raises(StriateError, match=message):
        fetch(away, tmp_path / "file")


def test_a_server_that_falls_silent(server, tmp_path):
    hung = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            hung.wait(5)

        def log_message(self, *given):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        silent = Remote(urls=(f"http://127.0.0.1:{running.server_port}/file",), md5="0" * 32)
        with pytest.raises(StriateError, match="timed out"):
            fetch(silent, tmp_path / "file", patience=Patience(attempts=1, wait=0.001, timeout=0.2))
        hung.set()
        running.shutdown()
        thread.join()


def test_a_full_disk_is_said_and_keeps_what_has_come(server, tmp_path, monkeypatch):
    server.plans["/file"] = Plan()
    part = transfer._part

    class Full:
        """The growing file, on a disk with room for 500,000 bytes."""

        def __init__(self, file):
            self.file = file

        def write(self, piece):
            if self.file.seek(0, os.SEEK_END) + len(piece) > 500_000:
                raise OSError(28, "No space left on device")
            return self.file.write(piece)

        def __getattr__(self, name):
            return getattr(self.file, name)

    @transfer.contextlib.contextmanager
    def full(path):
        with part(path) as file:
            yield Full(file)

    monkeypatch.setattr(transfer, "_part", full)
    with pytest.raises(
        StriateError, match=r"cannot write .*/file: the disk is full; free some space and run the command"
    ):
        fetch(remote(server), tmp_path / "file", patience=QUICK)
    monkeypatch.setattr(transfer, "_part", part)
    assert (tmp_path / "file.part").stat().st_size > 0
    assert fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY
    assert server.plans["/file"].asked[-1].startswith("bytes=")


def test_a_folder_one_may_not_write(server, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    with pytest.raises(StriateError, match=r"cannot write .*/a file/deep/file: .*; choose another folder with WHERE$"):
        fetch(remote(server), tmp_path / "a file" / "deep" / "file", patience=QUICK)


def test_two_processes_that_want_one_file_get_it_once(server, tmp_path):
    plan = server.plans["/file"] = Plan()
    results, start = [], threading.Barrier(4)

    def work():
        start.wait()
        results.append(fetch(remote(server), tmp_path / "file", patience=QUICK).read_bytes() == BODY)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4
    assert len(plan.asked) == 1
    assert left_in(tmp_path) == ["file"]


def test_a_named_set_is_downloaded_once_and_read(server, tmp_path, monkeypatch):
    """The whole way of `data.open("cifar100")`, from this machine instead of the publisher's."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in ("train.bin", "test.bin"):
            member = tarfile.TarInfo(f"cifar-100-binary/{file}")
            content = (b"\0\x07" + b"r" * 3072) * 10
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    plan = server.plans["/cifar-100-binary.tar.gz"] = Plan(body=packed.getvalue(), cuts=[100])
    here = Remote(urls=(server.url + "/cifar-100-binary.tar.gz",), md5=md5(packed.getvalue()), stated_at="here")
    known = named.NAMED["cifar100"]
    monkeypatch.setitem(named.NAMED, "cifar100", replace(known, remotes={"cifar-100-binary.tar.gz": here}))
    seen = []
    first = data.open("cifar100", data_dir=tmp_path, progress=lambda *given: seen.append(given))
    assert first.classes[7] == "beetle"
    assert len(first.test) == 10
    assert seen[-1] == ("cifar-100-binary.tar.gz", len(packed.getvalue()), len(packed.getvalue()))
    data.open("cifar100", data_dir=tmp_path)
    assert len(plan.asked) == 2


def test_a_set_of_which_some_files_have_come_is_completed(server, tmp_path, monkeypatch):
    """MNIST is four files: a run that was killed after two must fetch the other two, not complain."""
    known, remotes = named.NAMED["mnist"], {}
    for file in known.remotes:
        shape = (20, 3, 3) if "images" in file else (20,)
        body = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(range(9)) * 20
        packed = gzip.compress(body[: 4 + 4 * len(shape) + int(np.prod(shape))])
        server.plans["/" + file] = Plan(body=packed, etag=None)
        remotes[file] = Remote(urls=(server.url + "/" + file,), md5=md5(packed), stated_at="here")
    monkeypatch.setitem(named.NAMED, "mnist", replace(known, remotes=remotes))
    images, labels, last, gone = known.remotes
    lost = server.plans.pop("/" + last)
    with pytest.raises(StriateError, match=f"cannot download {last}"):
        data.open("mnist", data_dir=tmp_path)
    assert left_in(tmp_path / "mnist") == sorted([images, labels])
    server.plans["/" + last] = lost
    assert len(data.open("mnist", data_dir=tmp_path).test) == 20
    assert [len(server.plans["/" + file].asked) for file in (images, labels, last, gone)] == [1, 1, 1, 1]


def test_every_address_is_stated_with_its_source():
    """What a publisher states is copied by hand: the form at least is checked."""
    remotes = list(itertools.chain.from_iterable(known.remotes.items() for known in named.NAMED.values()))
    assert len(remotes) == 10
    for file, stated in remotes:
        assert all(url.endswith("/" + file) for url in stated.urls)
        assert len(stated.md5) == 32
        assert int(stated.md5, 16)
        assert stated.stated_at
    assert len({stated.md5 for _, stated in remotes}) == 10
