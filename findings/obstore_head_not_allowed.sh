#!/usr/bin/env bash
# obstore 0.12.1: an object on a server that answers no HEAD request is reported as missing.
#
# RFC 9110 lets a server refuse a method for a resource with 405 (Method Not Allowed) and name the ones that it takes in
# Allow. That says nothing about whether the resource is there. Signed links and small file servers often take GET alone.
#
# Expected: `obstore.head` raises an error that is not FileNotFoundError (or asks again with GET).
# Seen:     `obstore.get` returns the object, `obstore.head` of the same name raises FileNotFoundError.
# Matters:  whoever takes FileNotFoundError for "this chunk was never written" reads the fill value instead of voxels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "obstore==0.12.1"
"$folder/env/bin/python" - <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import obstore
from obstore.store import HTTPStore


class GetAlone(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"abc")

    def do_HEAD(self):
        self.send_response(405)
        self.send_header("Allow", "GET")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), GetAlone)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
store = HTTPStore.from_url(url, client_options={"allow_http": True}, retry_config={"max_retries": 0})
print("obstore", version("obstore"))
print("get: ", bytes(obstore.get(store, "chunk").bytes()))
try:
    print("head:", obstore.head(store, "chunk"))
except Exception as error:
    print("head:", type(error).__name__)
    assert isinstance(error, FileNotFoundError), "this has changed: it is no longer told as missing"
    assert "405" in str(error)
else:
    raise SystemExit("this has changed: head succeeds")
PY
