"""Fetching from a real server on this machine: whole, damaged, cut off, stalled, refused, killed, side by side."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.errors import ChecksumError, DownloadError, OutputError
from earmark.model.download import download
from earmark.model.registry import SourceFile
from tests.model.local_server import endless, moved, serving, silent, stalled, status, together, truncated, whole
from tests.model.tinyhub import QUICK, SOURCE, tiny_hub
from tests.tinymodel import LABELS

SHA256 = hashlib.sha256(SOURCE).hexdigest()

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def no_proxy(monkeypatch):
    """Reach this machine directly, whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def published(url: str) -> SourceFile:
    return SourceFile("model.tflite", url, SHA256, len(SOURCE), "CC0-1.0", "nobody")


def fetch(url: str, folder: Path, **options) -> Path:
    return download(published(url), folder, **{"patience": QUICK, **options})


def free_port_url() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/model.tflite"


def test_whole_file_with_progress(tmp_path, capfd):
    seen = []
    with serving(whole(SOURCE)) as server:
        path = fetch(server.url, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "model.tflite"
    assert path.read_bytes() == SOURCE
    assert path.stat().st_mode & 0o777 == 0o644
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == (len(SOURCE), len(SOURCE))
    assert capfd.readouterr() == ("", "")


def test_length_unknown_to_the_server(tmp_path):
    seen = []

    def lengthless(handler):
        handler.head(200)
        handler.wfile.write(SOURCE)

    with serving(lengthless) as server:
        fetch(server.url, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(SOURCE), None)


def test_redirect(tmp_path):
    with serving(moved, whole(SOURCE)) as server:
        assert fetch(server.url, tmp_path).read_bytes() == SOURCE


@pytest.mark.parametrize("code", [429, 500, 503])
def test_server_error_that_passes(tmp_path, code):
    with serving(status(code), whole(SOURCE)) as server:
        assert fetch(server.url, tmp_path).read_bytes() == SOURCE
        assert server.requests == 2


def test_truncated_answer_is_fetched_again(tmp_path):
    with serving(truncated(SOURCE), whole(SOURCE)) as server:
        assert fetch(server.url, tmp_path).read_bytes() == SOURCE
        assert server.requests == 2


@pytest.mark.parametrize(
    ("answer", "reason", "requests"),
    [
        (truncated(SOURCE), "the answer was cut off before its end", 2),
        (stalled(SOURCE), "the server sent nothing for 0.3 s", 2),
        (silent, "the server sent nothing for 0.3 s", 2),
        (status(500), "the server answered 500 Internal Server Error", 2),
        (status(404), "the server answered 404 Not Found", 1),
        (status(403), "the server answered 403 Forbidden", 1),
    ],
    ids=["truncated", "stalled", "silent", "500", "404", "403"],
)
def test_failure_is_named_and_leaves_nothing(tmp_path, answer, reason, requests):
    began = time.monotonic()
    patience = replace(QUICK, stall_seconds=0.3) if "nothing for 0.3" in reason else QUICK
    with serving(answer) as server:
        with pytest.raises(DownloadError, match=f"^could not download {re.escape(server.url)}: {reason}$"):
            fetch(server.url, tmp_path, patience=patience)
        assert server.requests == requests
    assert time.monotonic() - began < 5
    assert list(tmp_path.iterdir()) == []


def test_connection_refused(tmp_path):
    with pytest.raises(DownloadError, match=r"no connection \(offline"):
        fetch(free_port_url(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_address_that_is_none(tmp_path):
    with pytest.raises(DownloadError, match="could not download http://:80/"):
        fetch("http://:80/", tmp_path)


def test_another_file_is_refused_with_both_hashes(tmp_path):
    corrupt = SOURCE[:-1] + b"?"
    with serving(whole(corrupt)) as server:
        with pytest.raises(ChecksumError, match=f"{hashlib.sha256(corrupt).hexdigest()}, expected sha256 {SHA256}"):
            fetch(server.url, tmp_path)
        assert server.requests == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_end_is_refused(tmp_path):
    with serving(endless) as server, pytest.raises(ChecksumError, match=f"longer than {len(SOURCE)} bytes"):
        fetch(server.url, tmp_path)
    assert list(tmp_path.iterdir()) == []


# pull: the same failures as a user meets them


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_pull_installs_and_does_not_fetch_twice(tmp_path):
    with serving(whole(SOURCE)) as server:
        hub = tiny_hub(tmp_path, server.url)
        assert not hub.cache.folder.exists()
        path = hub.pull("tiny")
        assert path == hub.resolve("tiny") == hub.pull("tiny")
        hub.pull("tiny-int8")
        hub.pull("tiny", force=True)
        assert server.requests == 1
    assert files_in(hub.cache.folder) == ["models/tiny-int8.onnx", "models/tiny.onnx", "sources/model.tflite"]


def test_pull_offline_says_what_to_do(tmp_path):
    hub = tiny_hub(tmp_path, free_port_url())
    with pytest.raises(DownloadError) as caught:
        hub.pull("tiny-int8")
    message = str(caught.value)
    assert "could not download http://127.0.0.1:" in message
    assert f"({len(SOURCE)} bytes, sha256 {SHA256})" in message
    assert "`earmark models import FILE --precision int8`" in message
    assert f"copy it to {tmp_path / 'cache' / 'sources' / 'model.tflite'}" in message
    assert "\n" not in message
    assert files_in(hub.cache.folder) == []


def test_pull_of_another_file_says_what_to_do(tmp_path):
    with serving(whole(b"<html>please log in</html>")) as server:
        hub = tiny_hub(tmp_path, server.url)
        with pytest.raises(ChecksumError, match=f"expected sha256 {SHA256}; without a network.*`earmark models import"):
            hub.pull("tiny")
    assert files_in(hub.cache.folder) == []


def test_pull_replaces_a_damaged_source(tmp_path):
    with serving(whole(SOURCE)) as server:
        hub = tiny_hub(tmp_path, server.url)
        damaged = hub.cache.folder / "sources" / "model.tflite"
        damaged.parent.mkdir(parents=True)
        damaged.write_bytes(SOURCE[:100])
        hub.pull("tiny")
    assert damaged.read_bytes() == SOURCE


def pulling(folder: Path, url: str, *, before: str = "") -> "subprocess.Popen[str]":
    """Start another Python that pulls `tiny` into the cache under `folder`."""
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from earmark.model.download import Patience
from tests.model.tinyhub import tiny_hub
hub = tiny_hub(Path({str(folder)!r}), {url!r}, Patience(attempts=1))
{before}
try:
    hub.pull("tiny")
except Exception as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_pull_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    with serving(together(whole(SOURCE), 2)) as server:
        processes = [pulling(tmp_path / "a", server.url) for _ in range(2)]
        outcomes = [(*process.communicate(timeout=60), process.returncode) for process in processes]
        assert server.requests == 2
    assert outcomes == [("", "", 0), ("", "", 0)]
    hub = tiny_hub(tmp_path / "a")
    assert files_in(hub.cache.folder) == ["models/tiny.onnx", "sources/model.tflite"]
    assert hub.status("tiny").label_count == len(LABELS)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_killed_in_the_middle(tmp_path, name):
    hub = tiny_hub(tmp_path)
    with serving(stalled(SOURCE), whole(SOURCE)) as server:
        process = pulling(tmp_path, server.url)
        try:
            assert server.stalling.wait(60)
            process.send_signal(getattr(signal, name))
            process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode != 0
        left = files_in(hub.cache.folder)
        assert all(path.startswith("partial/") for path in left)
        if name == "SIGINT":
            assert left == []
        tiny_hub(tmp_path, server.url).pull("tiny")
    assert hub.resolve("tiny").is_file()


def test_what_a_killed_process_left_is_swept_after_a_day(tmp_path):
    hub = tiny_hub(tmp_path)
    old, new = hub.cache.folder / "partial" / "old", hub.cache.folder / "partial" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "model.tflite").write_bytes(SOURCE[:100])
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    with hub.cache.workshop():
        assert not old.exists()
        assert new.exists()


def test_disk_full_in_the_middle(tmp_path):
    hub = tiny_hub(tmp_path)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(SOURCE) // 2},) * 2)"
    with serving(whole(SOURCE)) as server:
        process = pulling(tmp_path, server.url, before=limit)
        _, message = process.communicate(timeout=60)
    assert message.startswith(f"OutputError: cannot write to the cache folder {hub.cache.folder}: File too large")
    assert files_in(hub.cache.folder) == []


@pytest.fixture
def open_folder():
    """A folder that other users may enter, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "closed"])
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_cache_without_permission(open_folder, mode):
    become_nobody = "import os; os.geteuid() or os.seteuid(65534)"  # nothing is read-only to root
    cache = open_folder / "cache"
    cache.mkdir()
    cache.chmod(mode)
    process = pulling(open_folder, "http://127.0.0.1:9/", before=become_nobody)
    _, message = process.communicate(timeout=60)
    assert message.startswith(f"OutputError: cannot write to the cache folder {cache}: Permission denied; free some")


def test_cache_folder_that_is_a_file(tmp_path):
    with serving(whole(SOURCE)) as server:
        hub = tiny_hub(tmp_path, server.url)
        hub.cache.folder.write_bytes(b"")
        with pytest.raises(OutputError, match="set EARMARK_CACHE to a folder that you may write to"):
            hub.pull("tiny")
        assert server.requests == 0
