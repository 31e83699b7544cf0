"""Twenty tabs with live values over WebSocket, while REST calls of the same browser are answered."""

from __future__ import annotations

from pathlib import Path

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.conftest import DEMO_DEVICE
from tests.live.conftest import COMMAND, served

from .conftest import PageServer

TABS, VALUES = 20, 3

# Each frame has a WebSocket of its own, as a tab has: the limits of a browser hold for all tabs together.
PAGE = """<!doctype html>
<meta charset="utf-8">
<script>
const tab = `<script>
const socket = new WebSocket("ws://$GATEWAY/tango/stream", ["mtango.v1"]);
let values = 0;
socket.onopen = () => socket.send(JSON.stringify({subscribe: [
  {id: 1, device: "$DEVICE", attribute: "double_scalar"},
  {id: 2, device: "$DEVICE", attribute: "double_spectrum", binary: true}]}));
socket.binaryType = "arraybuffer";
socket.onmessage = message => {
  if (message.data instanceof ArrayBuffer) {
    const numbers = new Float64Array(message.data, 40);
    parent.postMessage({binary: numbers.length});
  } else {
    values += (JSON.parse(message.data).records ?? []).filter(record => record.id === 1).length;
    if (values === $VALUES) parent.postMessage({live: true});
  }
};
socket.onerror = socket.onclose = event => parent.postMessage({error: event.type + event.code});
<` + `/script>`;
const found = {live: 0, binary: 0, statuses: [], errors: []};

onmessage = ({data}) => {
  found.live += data.live ? 1 : 0;
  found.binary += data.binary ? 1 : 0;
  if (data.error) found.errors.push(data.error);
};

for (let number = 0; number < $TABS; number++) {
  const frame = document.createElement("iframe");
  frame.srcdoc = tab;
  document.documentElement.append(frame);
}

(async () => {
  const until = Date.now() + 40000;
  while (found.live < $TABS && !found.errors.length && Date.now() < until) {
    const answer = await fetch("http://$GATEWAY/tango/rest");
    found.statuses.push(answer.status);
    await new Promise(done => setTimeout(done, 200));
  }
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>
"""


def test_twenty_tabs_have_live_values_while_rest_calls_are_answered(
    tango_system: EmbeddedTango, tmp_path: Path, pages: PageServer
) -> None:
    with served(COMMAND, tmp_path / "log", MTANGO_CORS_ORIGINS=f"http://127.0.0.1:{pages.port}") as gateway:
        page = PAGE.replace("$GATEWAY", f"127.0.0.1:{gateway.port}").replace("$DEVICE", DEMO_DEVICE)
        page = page.replace("$TABS", str(TABS)).replace("$VALUES", str(VALUES))
        found = pages.report(page, "127.0.0.1", tmp_path / "profile")
    assert found["errors"] == []
    assert (found["live"], found["binary"] >= TABS) == (TABS, True)
    assert found["statuses"]
    assert set(found["statuses"]) == {200}
