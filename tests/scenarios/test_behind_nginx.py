"""A server behind a real nginx as it comes: what happens there is heard as it happens."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_thread import TOKEN, ServerThread, code_in, spec, wait_for
from trialjob import Client

_CONF = """
daemon off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  gzip on; gzip_proxied any; gzip_types *;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
}}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    made = ServerThread(tmp_path / "store", code_in(tmp_path / "code"))
    yield made
    made.close()


@pytest.fixture
def proxy(server: ServerThread, tmp_path: Path) -> Iterator[str]:
    program = shutil.which("nginx", path="/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
    if program is None:
        pytest.skip("no nginx here: apt-get install nginx-light")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "nginx.conf"
    conf.write_text(_CONF.format(folder=tmp_path, port=port, behind=server.port))
    with subprocess.Popen([program, "-e", "stderr", "-c", str(conf)], stderr=subprocess.DEVNULL) as running:
        wait_for(lambda: _listens(port))
        yield f"http://127.0.0.1:{port}"
        running.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_records_and_lines_come_through_as_they_are_made(
    server: ServerThread, proxy: str, tmp_path: Path
) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    server.experiments.start(spec(wait=wait), None, name="one", key="", uncapped=False)
    client, heard = Client(proxy, TOKEN), list[str]()

    def listen() -> None:
        for record in client.events("one"):
            heard.extend(each["type"] for each in record["events"])

    threading.Thread(target=listen, daemon=True).start()
    wait_for(lambda: "JobSubmitted" in heard)
    wait.unlink()  # until then no trial ends
    wait_for(lambda: "ExperimentEnded" in heard)
    assert heard[0] == "ExperimentCreated"
    assert any(line.startswith("loss=") for line in client.log("one", 1, follow=True))
