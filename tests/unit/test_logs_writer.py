"""The writer thread against sinks that stall, fail and recover: real pipes, real files."""

from __future__ import annotations

import io
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from daemon.operations.log_sinks import StreamSink
from daemon.operations.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

LINE = b"x" * 99 + b"\n"


def missing(count: int) -> bytes:
    return b"dropped %d\n" % count


def told(lines: list[bytes]) -> int:
    """How many missing ones the lines report."""
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"dropped"))


class Pipe:
    """A pipe that nobody reads until `drain` is called."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream: TextIO = os.fdopen(writer, "w")
        self.received = bytearray()
        self._drain = threading.Thread(target=self._read)

    def drain(self) -> None:
        self._drain.start()

    def ended(self) -> list[bytes]:
        """Close the writing end; all that was received, as lines."""
        self.stream.close()
        self._drain.join(5)
        return bytes(self.received).splitlines(keepends=True)

    def close(self) -> None:
        if not self._drain.ident:
            self.drain()
        self.ended()
        os.close(self.reader)

    def _read(self) -> None:
        while data := os.read(self.reader, 1000):
            self.received += data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_what_was_written_is_not_kept_until_there_is_more(pipe: Pipe) -> None:
    freed = threading.Event()

    class Line(bytes):
        def __del__(self) -> None:
            freed.set()

    writer = LogWriter(StreamSink(pipe.stream), missing)
    pipe.drain()
    writer.write(Line(LINE))
    assert freed.wait(5)
    assert writer.close(5)


def test_lines_of_many_threads_arrive_whole_and_in_each_one_s_order(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), missing)
    pipe.drain()
    threads = [
        threading.Thread(target=lambda n=n: [writer.write(b"%d %d\n" % (n, i)) for i in range(2000)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert writer.close(5)
    assert writer.dropped == 0
    lines = [tuple(map(int, line.split())) for line in pipe.ended()]
    assert sorted(lines) == [(n, i) for n in range(4) for i in range(2000)]
    for n in range(4):
        assert [i for m, i in lines if m == n] == list(range(2000))


def test_a_line_arrives_without_a_close(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), missing)
    for number in range(3):
        writer.write(b"%d\n" % number)
        assert os.read(pipe.reader, 100) == b"%d\n" % number
    assert writer.close(5)


def test_a_pipe_that_nobody_reads_never_blocks_the_caller_and_what_is_lost_is_counted_and_told(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), missing, buffer_bytes=100_000)
    caller = threading.Thread(target=lambda: [writer.write(LINE) for _ in range(20_000)], daemon=True)
    caller.start()
    caller.join(30)
    assert not caller.is_alive(), "it waits for a reader that does not come"
    assert writer.dropped > 15_000

    lost = writer.dropped
    pipe.drain()
    assert writer.close(5)
    lines = pipe.ended()
    assert writer.dropped == lost
    assert lines.count(LINE) == 20_000 - lost
    # More than once, if the writer's turn comes while the caller is still at it and the pipe has room again.
    assert told(lines) == lost


def test_the_loss_is_told_at_its_place_when_lines_go_on(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), missing, buffer_bytes=1000)
    while not writer.dropped:
        writer.write(LINE)
    pipe.drain()
    accepted = 0
    while not accepted:
        before = writer.dropped
        writer.write(b"after\n")
        accepted = before == writer.dropped
    assert writer.close(5)
    lines = pipe.ended()
    assert told(lines) == writer.dropped
    assert lines[-2].startswith(b"dropped")
    assert lines[-1] == b"after\n"


def test_close_gives_up_on_a_stalled_sink_in_time_and_counts_what_it_leaves(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), missing, buffer_bytes=200_000)
    for _ in range(2000):
        writer.write(LINE)
    began = time.monotonic()
    assert not writer.close(0.1)
    assert not writer.close(10)
    assert time.monotonic() - began < 2
    left = 2000 - writer.dropped
    assert 0 <= left * len(LINE) <= 65_536
    writer.write(LINE)
    assert 2001 - writer.dropped == left


def test_a_sink_that_somebody_made_non_blocking_gets_every_line(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    writer = LogWriter(StreamSink(pipe.stream), missing)
    for _ in range(5000):
        writer.write(LINE)
    pipe.drain()
    assert writer.close(5)
    assert pipe.ended() == [LINE] * 5000


def test_a_full_disk_costs_the_lines_and_nothing_else() -> None:
    with open("/dev/full", "w") as full:
        writer = LogWriter(StreamSink(full), missing)
        writer.write(LINE)
        assert not writer.close(0.1)
        assert writer.dropped == 1


def test_streams_without_a_descriptor_are_written_to() -> None:
    stream = io.StringIO()
    writer = LogWriter(StreamSink(stream), missing)
    writer.write("Zoë\n".encode())
    assert writer.close(5)
    assert writer.close(5)
    assert stream.getvalue() == "Zoë\n"


def test_lines_follow_what_the_stream_was_given_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        stream.write("before\n")
        writer = LogWriter(StreamSink(stream), missing)
        writer.write(b"line\n")
        assert writer.close(5)
    assert path.read_text() == "before\nline\n"


def test_a_line_longer_than_the_buffer_is_counted_not_kept() -> None:
    stream = io.StringIO()
    writer = LogWriter(StreamSink(stream), missing, buffer_bytes=50)
    writer.write(LINE)
    assert writer.close(5)
    assert writer.dropped == 1
    assert stream.getvalue() == "dropped 1\n"


def test_lines_that_wait_go_where_they_were_rendered_for_also_when_the_log_goes_elsewhere_meanwhile(
    pipe: Pipe, tmp_path: Path
) -> None:
    with (tmp_path / "second").open("w") as second, (tmp_path / "third").open("w") as third:
        writer = LogWriter(StreamSink(pipe.stream), missing)
        # More than a pipe holds: the thread is stuck in the middle of them.
        first = [LINE] * 3000
        for line in first:
            writer.write(line)
        writer.use(StreamSink(second), missing)
        writer.write(b"for the second\n")
        writer.use(StreamSink(third), missing)
        writer.write(b"for the third\n")
        pipe.drain()
        assert writer.close(10)
        assert pipe.ended() == first
        assert (tmp_path / "second").read_bytes() == b"for the second\n"
        assert (tmp_path / "third").read_bytes() == b"for the third\n"
