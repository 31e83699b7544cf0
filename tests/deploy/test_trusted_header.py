"""nginx authenticates the users, as docs/how-to/authenticate.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.live.conftest import COMMAND, free_port, served, wait_until

from .conftest import ROOT

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    not (NGINX and shutil.which("curl")), reason="nginx or curl is not installed (Debian: nginx-light curl)"
)

AROUND = """
daemon off; {user} pid {folder}/pid; error_log {folder}/log; events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    map $request_method $mtango {{ default 127.0.0.1:{gateway}; }}
    server {{ listen 127.0.0.1:{port}; {block} }}
}}
"""


def ask(port: int, *options: str) -> str:
    """Return status and body of /sys/whoami."""
    url = f"http://127.0.0.1:{port}/tango/rest/sys/whoami"
    return subprocess.run(["curl", "-s", "-w", " %{http_code}", *options, url], capture_output=True, text=True).stdout


@pytest.fixture
def port(tango_system: EmbeddedTango, tmp_path: Path) -> Iterator[int]:
    """The port of nginx."""
    page = (ROOT / "docs/how-to/authenticate.md").read_text("utf-8")
    (block,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    (tmp_path / "htpasswd").write_text("alice:{PLAIN}secret\n", "utf-8")
    block = block.replace("/etc/nginx/mtango.htpasswd", f"{tmp_path}/htpasswd")
    user = "user root;" if os.geteuid() == 0 else ""
    settings = {"MTANGO_AUTH": "trusted-header", "MTANGO_AUTH_HEADER_FROM": "127.0.0.1"}
    with served(COMMAND, tmp_path / "gateway", **settings) as gateway:
        port = free_port()
        text = AROUND.format(folder=tmp_path, port=port, gateway=gateway.port, block=block, user=user)
        (tmp_path / "nginx.conf").write_text(text, "utf-8")
        nginx = subprocess.Popen([str(NGINX), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
        try:
            wait_until(lambda: ask(port).endswith(" 401"))
            yield port
        finally:
            nginx.terminate()
            nginx.wait(30)


def test_user_is_that_of_nginx_whatever_the_client_sends(port: int) -> None:
    forged = ["-H", "X-Remote-User: admin", "-H", "X_Remote_User: admin", "-H", "X-Remote-Groups: admins"]
    for options in ([], forged):
        answer = ask(port, "-u", "alice:secret", *options)
        assert answer.endswith(" 200")
        assert '"user":"alice"' in answer
        assert '"groups":[]' in answer
    assert ask(port, *forged).endswith(" 401")
    assert ask(port, "-u", "alice:wrong", *forged).endswith(" 401")
