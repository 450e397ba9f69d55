"""Labels into a Google bucket: against a server in this process that keeps what it is sent, in memory."""

from __future__ import annotations

import http.server
import json
import threading
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np
import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice


class Bucket(http.server.BaseHTTPRequestHandler):
    """What the XML interface of Google Cloud Storage does: list, get, put, copy, delete, and uploads in parts."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _asked(self):
        parts = urlsplit(self.path)
        words = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path).lstrip("/").partition("/")[2], words

    def do_GET(self):
        name, words = self._asked()
        if "list-type" in words:
            return self._list(words)
        held = self.server.objects.get(name)
        if held is None:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin = int(first) if first else len(held) - int(last)
            end = int(last) + 1 if first and last else len(held)
            about = {"Content-Range": f"bytes {begin}-{min(end, len(held)) - 1}/{len(held)}"}
            return self._answer(206, held[begin:end], **about)
        return self._answer(200, held)

    def do_HEAD(self):
        self.do_GET()

    def do_PUT(self):
        name, words = self._asked()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "partNumber" in words:
            self.server.parts[words["uploadId"]][int(words["partNumber"])] = content
        elif "x-goog-copy-source" in self.headers:
            source = unquote(self.headers["x-goog-copy-source"]).lstrip("/").partition("/")[2]
            self.server.objects[name] = self.server.objects[source]
        else:
            self.server.objects[name] = content
        return self._answer(200, b"")

    def do_POST(self):
        name, words = self._asked()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "uploads" in words:
            upload = str(len(self.server.parts))
            self.server.parts[upload] = {}
            return self._answer(200, _xml("InitiateMultipartUploadResult", UploadId=upload))
        held = self.server.parts.pop(words["uploadId"])
        self.server.objects[name] = b"".join(held[i] for i in sorted(held))
        return self._answer(200, _xml("CompleteMultipartUploadResult", ETag='"1"'))

    def do_DELETE(self):
        self.server.objects.pop(self._asked()[0], None)
        return self._answer(204, b"")

    def _list(self, words):
        prefix, delimiter = words.get("prefix", ""), words.get("delimiter", "")
        names, folders = [], set()
        for name in sorted(n for n in list(self.server.objects) if n.startswith(prefix)):
            rest, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if cut:
                folders.add(prefix + rest + delimiter)
            else:
                names.append(name)
        said = "".join(
            f"<Contents><Key>{escape(n)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>1</ETag>"
            f"<Size>{len(self.server.objects[n])}</Size></Contents>"
            for n in names
        )
        said += "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
        return self._answer(
            200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{said}</ListBucketResult>".encode()
        )

    def _answer(self, status, content, **headers):
        self.send_response(status)
        about = {"Content-Length": len(content), "ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in {**about, "x-goog-generation": "1", **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _xml(kind: str, **values: str) -> bytes:
    return f"<{kind}>{''.join(f'<{k}>{v}</{k}>' for k, v in values.items())}</{kind}>".encode()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """An empty bucket; the account that the environment names reaches it."""
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    running.objects, running.parts = {}, {}
    account = {"gcs_base_url": f"http://127.0.0.1:{running.server_address[1]}", "disable_oauth": True,
               "client_email": "", "private_key": "", "private_key_id": ""}  # fmt: skip
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "account.json"))
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.objects
    running.shutdown()
    thread.join()
    running.server_close()


def test_labels_into_a_google_bucket(bucket, tmp_path):
    flows = FlowLattice((20, 40, 40), diameter=10, noise=0.2)
    given = flows.read(Box.of(flows.extent))
    here = bigcell.segment(flows=given, output=tmp_path / "here.zarr", block=(10, 20, 20), workers=1)
    there = bigcell.segment(
        flows=given, output="gs://bucket/out/there.zarr", block=(10, 20, 20), workers=1, work=tmp_path
    )
    assert there.path == "gs://bucket/out/there.zarr/labels/cells"
    local, remote = bigcell.open_volume(here.path), bigcell.open_volume(there.path)
    assert np.array_equal(local.read(local.region), remote.read(remote.region))
    assert not [name for name in bucket if "building" in name or "pending" in name]
    again = bigcell.segment(
        flows=given, output="gs://bucket/out/there.zarr", block=(10, 20, 20), workers=1, work=tmp_path,
        min_size=300, overwrite=True,
    )  # fmt: skip
    assert 0 < again.objects < there.objects
    assert len(np.unique(bigcell.open_volume(again.path).read(remote.region))) == again.objects + 1
