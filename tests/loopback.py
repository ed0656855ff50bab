"""A web server of this machine alone, in a thread."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """Gives every request to ``_answer``."""

    def __init__(self):
        self._end = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                outer._answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = answer

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        """From now on, connections are refused."""
        if not self._end.is_set():
            self._end.set()
            self._server.shutdown()
            self._server.server_close()
