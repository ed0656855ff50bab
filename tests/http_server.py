"""A web server with the faults that servers and networks have."""

import hashlib

from loopback import Loopback


class Server(Loopback):
    """Serves ``files`` (path without its first slash -> bytes) and writes down what it is asked.

    ranges: Whether it sends parts of files.
    tags: Whether files have an ETag.
    cuts: Path -> bytes after which the connection is cut, one number for each answer.
    errors: Path -> status codes to answer with, one for each answer.
    lengths: Path -> what to say of a file's length in place of the truth.
    silent: Whether to accept connections and never answer.
    before_range: Called before a part of a file is sent.
    requests: (path, position of the first byte asked for, or None) of every request.
    """

    def __init__(self, files, *, ranges=True, tags=True):
        self.files, self.ranges, self.tags = files, ranges, tags
        self.cuts, self.errors, self.lengths = {}, {}, {}
        self.silent = False
        self.before_range = lambda: None
        self.requests = []
        super().__init__()

    def _answer(self, handler):
        path = handler.path.removeprefix("/")
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else None
        self.requests.append((path, start))
        if self.silent:
            self._end.wait(10)
            return
        status = self.errors[path].pop(0) if self.errors.get(path) else 200
        if path not in self.files:
            status = 404
        if status != 200:
            handler.send_error(status)
            return
        if start is not None:
            self.before_range()
        content = self.files[path]
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        if not self.ranges or (start and handler.headers.get("If-Range") != tag):
            start = None
        handler.send_response(200 if start is None else 206)
        body = content[start or 0 :]
        if start is not None:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.tags:
            handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(self.lengths.get(path, len(body))))
        handler.end_headers()
        cut = self.cuts[path].pop(0) if self.cuts.get(path) else None
        handler.wfile.write(body[:cut])
        if cut:
            self._end.wait(0.3)  # so that what was sent is read
