"""The files of deploy/, held to what the service does; no image is built here, but its steps are run one by one."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from typer.main import get_command
from websockets.sync.client import connect

from earmark.cli.app import app
from earmark.service import rest
from earmark.service.metrics import Metrics
from earmark.service.problems import RefusedError
from earmark.service.room import Room
from earmark.service.server import grace_seconds
from earmark.service.settings import Limits, Settings
from tests.service.process import Running, serving
from tests.test_packaging import index  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "docs/guide/deploy.md").read_text(encoding="utf-8")
USER_ID = 10001
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="containers are of Linux")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: name and the rest, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], " ".join(line.split(None, 1)[1].split())) for line in lines if line.strip()]


def only(name: str) -> str:
    """Return the rest of the one instruction of a name."""
    (found,) = [rest for instruction, rest in instructions() if instruction == name]
    return found


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def container() -> Any:
    (only_one,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    return only_one


def test_the_image_runs_as_nobody_who_may_write() -> None:
    names = [name for name, _ in instructions()]
    assert only("USER") == f"{USER_ID}:{USER_ID}"
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("COPY", "RUN"))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["earmark"]
    assert compose["read_only"] is True
    assert compose["cap_drop"] == ["ALL"]
    assert compose["tmpfs"][0].startswith("/tmp:")
    assert (DEPLOY / compose["build"]["context"] / compose["build"]["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert f"user {USER_ID}" in GUIDE


def test_the_pod_runs_as_nobody_who_may_write(container: Any) -> None:
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER_ID
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]


def test_what_runs_has_time_to_finish(container: Any) -> None:
    limits = Limits()
    grace = grace_seconds(limits)
    assert grace > limits.upload_seconds + 2 * limits.analysis_seconds
    pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
    stop = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > grace + float(stop[stop.index("sleep") + 1])
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["earmark"]
    assert float(compose["stop_grace_period"].removesuffix("s")) > grace


def test_the_pod_has_room_for_uploads(container: Any) -> None:
    given = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    settings = Settings(workers=int(given["--workers"]), limits=Limits(queue=int(given["--queue"])))
    (volume,) = manifest("deployment.yaml")["spec"]["template"]["spec"]["volumes"]
    most_bytes = int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
    with pytest.raises(RefusedError, match="all clients"):
        Room.of(settings, Path()).take(most_bytes)


def test_options_and_routes_are_those_of_the_service(container: Any) -> None:
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {name for parameter in serve.params for name in parameter.opts}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["earmark"]
    given = [*json.loads(only("ENTRYPOINT")), *container["args"], *compose["command"]]
    assert {word for word in given if word.startswith("--")} <= options
    routes = {route.path for route in rest.router.routes}  # type: ignore[attr-defined]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert [probe["path"] for probe in probes] == ["/readyz", "/readyz", "/healthz"]
    monitor = manifest("monitor.yaml")["spec"]["endpoints"][0]
    assert {*(probe["path"] for probe in probes), monitor["path"]} <= routes
    assert {probe["port"] for probe in probes} | {monitor["port"]} == {container["ports"][0]["name"]}
    assert container["ports"][0]["containerPort"] == int(only("EXPOSE")) == Settings().port


def test_pods_are_added_by_a_metric_that_there_is() -> None:
    metrics = Metrics().text().decode()
    scaling = manifest("autoscaling.yaml")["spec"]
    name = scaling["metrics"][0]["pods"]["metric"]["name"]
    assert f"\n{name} " in metrics
    assert scaling["scaleTargetRef"]["name"] == manifest("deployment.yaml")["metadata"]["name"]
    (rules,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert yaml.safe_load(rules)["rules"][0]["seriesQuery"].startswith(f"{name}{{")


def test_parts_of_the_cluster_fit_each_other() -> None:
    deployment, service, monitor = (manifest(f"{name}.yaml") for name in ("deployment", "service", "monitor"))
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    files = {path.name for path in (DEPLOY / "kubernetes").iterdir()}
    assert {"kustomization.yaml", *manifest("kustomization.yaml")["resources"]} == files


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_cluster_takes_it_as_a_whole() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], check=True, capture_output=True, text=True
    )
    assert len(list(yaml.safe_load_all(done.stdout))) == len(manifest("kustomization.yaml")["resources"])


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run(["hadolint", str(DEPLOY / "Dockerfile")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_nginx_lets_as_much_through_as_the_service_takes() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    limits = Limits()
    assert f"client_max_body_size {limits.upload_bytes // 2**20}m;" in text
    assert int(re.findall(r"proxy_read_timeout (\d+)s;", text)[0]) > 2 * limits.analysis_seconds
    assert f"server 127.0.0.1:{Settings().port};" in text


@POSIX
def test_the_steps_of_the_dockerfile_give_a_service(index: None) -> None:  # noqa: F811
    """Its commands are run as they stand, in a copy of what the build sees, and the service as its user."""
    with TemporaryDirectory(prefix="earmark-image-") as folder:
        image = Path(folder)
        image.chmod(0o755)
        copy_context(image / "source")
        places = {"/opt/earmark": str(image / "venv"), "/earmark": str(image / "source")}
        steps = replaced(only("RUN"), places).replace("python -m venv", f"{shlex.quote(sys.executable)} -m venv")
        sparing = {**os.environ, "PIP_COMPILE": "0"}
        done = subprocess.run(["sh", "-ec", steps], check=False, capture_output=True, text=True, env=sparing)
        assert done.returncode == 0, done.stderr
        with started_as_in(image) as url:
            answer = httpx.post(f"{url}/v1/classify", headers=TOKEN, content=b"no sound", timeout=60)
            assert answer.json()["error"]["code"] == "not_audio"
            assert httpx.get(f"{url}/v1/models", headers=TOKEN).json()["default"] == "everyday"
            assert httpx.get(f"{url}/v1/models").status_code == 401


TOKEN = {"Authorization": "Bearer of-a-test"}


def copy_context(target: Path) -> None:
    """Copy what the build sees of this tree."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "*"
    target.mkdir()
    for name in (line[1:] for line in lines if line.startswith("!")):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def replaced(text: str, places: dict[str, str]) -> str:
    """Return a command with other paths; the longest are looked for first."""
    for old, new in places.items():
        text = re.sub(rf"(?<![\w/]){re.escape(old)}(?![\w-])", new, text)
    return text


@contextmanager
def started_as_in(image: Path) -> Iterator[str]:
    """Run the entry point as the image does: its variables, its user if we may, no home, a folder for large uploads."""
    scratch = image / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    before = sorted(image.rglob("*"))
    variables = dict(part.split("=", 1) for part in only("ENV").split())
    variables["PATH"] = replaced(variables["PATH"], {"/opt/earmark": str(image / "venv")}).replace("$PATH", os.defpath)
    environment = {**variables, "EARMARK_TOKEN": TOKEN["Authorization"].split()[1], "TMPDIR": str(scratch)}
    port = free_port()
    user = {"user": USER_ID, "group": USER_ID, "extra_groups": []} if may_be_another(image) else {}
    words = [shutil.which(word, path=variables["PATH"]) or word for word in json.loads(only("ENTRYPOINT"))[:1]]
    command = [*words, *json.loads(only("ENTRYPOINT"))[1:], "--port", str(port), "--workers", "1"]
    health = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    health = [image / "venv/bin/python", *(word.replace("8000", str(port)) for word in health[1:])]
    with subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.PIPE, text=True, **user) as process:  # type: ignore[call-overload]
        try:
            assert process.stderr is not None
            assert any(str(port) in line for line in process.stderr), "it ended"
            subprocess.run(health, check=True)
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert sorted(image.rglob("*")) == before, "it wrote something, or left something behind"
        finally:
            process.kill()


def may_be_another(image: Path) -> bool:
    """Whether we may start a process as another user, and that user may use the Python below the image's."""
    python = (image / "venv/bin/python").resolve()
    return os.geteuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in python.parents)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_requests_and_streams_come_through_nginx(tiny_model: Path, tmp_path: Path) -> None:
    with serving([tiny_model]) as running, nginx_before(running, tmp_path) as port:
        url = f"http://localhost:{port}"
        assert httpx.get(f"{url}/v1/models").json()["default"] == "tiny"
        answer = httpx.post(f"{url}/v1/classify", content=b"no sound", headers={"Expect": "100-continue"}, timeout=60)
        assert answer.json()["error"]["code"] == "not_audio"
        assert status_of_a_large_one(port) == 413
        with connect(f"ws://localhost:{port}/v1/stream", origin=url) as stream:  # type: ignore[arg-type]
            stream.send('{"sample_rate": 16000}')
            assert json.loads(stream.recv())["type"] == "ready"
            stream.send(bytes(2 * 16_000))
            stream.send('{"type": "end"}')
            while (said := json.loads(stream.recv()))["type"] != "summary":
                assert said["type"] in ("frames", "event")


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize(
    ("offered", "handed_on"),
    [("h2c", []), ("websocket, h2c", []), ("WebSocket", ["Upgrade: websocket", "Connection: upgrade"])],
)
def test_nginx_hands_on_no_upgrade_but_that_of_streams(offered: str, handed_on: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        behind: Any = SimpleNamespace(port=server.getsockname()[1])
        with nginx_before(behind, tmp_path) as port, socket.create_connection(("localhost", port)) as client:
            header = f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {offered}\r\n\r\n"
            client.sendall(header.encode())
            with server.accept()[0] as handed:
                received = handed.recv(2**16).decode()
    assert [line for line in received.split("\r\n") if line.startswith(("Upgrade", "Connection"))] == handed_on


def status_of_a_large_one(port: int) -> int:
    """Announce a gigabyte and return the status of the answer."""
    connection = HTTPConnection("localhost", port, timeout=60)
    connection.putrequest("POST", "/v1/classify")
    connection.putheader("Content-Length", str(2**30))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@contextmanager
def nginx_before(running: Running, folder: Path) -> Iterator[int]:
    """Run nginx with our configuration in front of a service, without the TLS for which there is no certificate."""
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
    places = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off; pid {folder}/pid; events {{}} http {{ access_log off; {places}\n{text}}}"
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None and not answers(port):
                time.sleep(0.02)
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
