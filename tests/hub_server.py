"""The Hugging Face Hub's web interface, as far as huggingface_hub asks it."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from loopback import Loopback

TOKEN = "hf_opensesame"


@dataclass
class Repository:
    """commits: Of each, by its hash, the files (path -> bytes). branches: Name -> commit.
    messages: Of the commits that were pushed. gated, private: Whether a token is asked for."""

    commits: dict = field(default_factory=dict)
    branches: dict = field(default_factory=dict)
    messages: list = field(default_factory=list)
    private: bool = False
    gated: bool = False

    def commit(self, files, branch="main", message=""):
        """RETURNS: The hash of a new commit of a branch that holds these files."""
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[name], self.branches[branch] = dict(files), name
        self.messages.append(message)
        return name

    def files(self, revision):
        """RETURNS: The commit's hash and its files; None if there is no such revision."""
        name = self.branches.get(revision, revision)
        return (name, self.commits[name]) if name in self.commits else None


class HubServer(Loopback):
    """repositories: Name -> ``Repository``. requests: (method, path, token) of each. errors: Part
    of a path -> the status that such requests are answered with. stored: Uploads by their hash."""

    def __init__(self):
        self.repositories, self.requests, self.errors, self.stored = {}, [], {}, {}
        super().__init__()

    def add(self, name, files, **options):
        """RETURNS: A new repository with one commit."""
        repository = self.repositories[name] = Repository(**options)
        repository.commit(files)
        return repository

    def fetched(self):
        """The files that were sent, without their repository."""
        paths = [path for method, path, _ in self.requests if method == "GET"]
        return [path.split("/", 4)[4] for path in paths if "/resolve/" in path]

    def _answer(self, handler):
        url = urlsplit(handler.path)
        path = unquote(url.path).strip("/")
        token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.requests.append((handler.command, path, token))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        status, content, headers = self._respond(handler.command, path, token, body)
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers = {"Content-Type": "application/json", **headers}
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def _respond(self, method, path, token, body):
        """RETURNS: Status, content and headers."""
        for part, status in self.errors.items():
            if part in path:
                return status, {"error": "as asked for"}, {}
        if path.startswith("upload/"):
            self.stored[path.removeprefix("upload/")] = body
            return 200, {}, {}
        if path == "api/validate-yaml":
            return 200, {"warnings": [], "errors": []}, {}
        if path == "api/whoami-v2":
            return 200, {"name": "me", "type": "user", "orgs": [], "auth": {}}, {}
        if path == "api/repos/create":
            return self._create(token, json.loads(body))
        is_api = path.startswith("api/models/")
        parts = path.removeprefix("api/models/").split("/")
        name = "/".join(parts[:2]).removesuffix(".git")
        repository = self.repositories.get(name)
        if repository is None or (repository.private and token != TOKEN):
            return 401, {}, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not found"}
        if repository.gated and token != TOKEN and "resolve" in path:
            return 403, {}, {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"}
        if method in ("POST", "PUT"):
            if token != TOKEN:
                return 403, {"error": "no right to write"}, {"X-Error-Message": "no right"}
            return self._write(name, repository, parts, body)
        kind, revision = parts[2:4] if len(parts) > 3 else ("revision", "main")
        found = repository.files(revision)
        if found is None:
            return 404, {}, {"X-Error-Code": "RevisionNotFound"}
        commit, files = found
        if is_api and kind == "tree":
            return 200, [self._entry(path, files[path]) for path in files], {}
        if is_api:
            siblings = [{"rfilename": path} for path in files]
            return 200, {"id": name, "sha": commit, "siblings": siblings}, {}
        return self._file(files, "/".join(parts[4:]), commit)

    def _file(self, files, path, commit):
        if path not in files:
            return 404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
        tag = hashlib.sha256(files[path]).hexdigest()
        return 200, files[path], {"ETag": f'"{tag}"', "X-Repo-Commit": commit}

    @staticmethod
    def _entry(path, content):
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return {"type": "file", "path": path, "size": len(content), "oid": oid}

    def _create(self, token, asked):
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        if token != TOKEN:
            return 401, {"error": "Invalid username or password."}, {}
        if name in self.repositories:
            return 409, {"url": f"{self.url}/{name}", "error": "exists"}, {}
        private = asked.get("private") or asked.get("visibility") == "private"
        self.add(name, {}, private=bool(private))
        return 200, {"url": f"{self.url}/{name}", "id": name}, {}

    def _write(self, name, repository, parts, body):
        if parts[-1] == "batch":
            objects = json.loads(body)["objects"]
            for one in objects:
                href = f"{self.url}/upload/{one['oid']}"
                one["actions"] = {"upload": {"href": href, "header": {}}}
            return 200, {"transfer": "basic", "objects": objects}, {}
        kind, revision = parts[2], parts[3]
        if kind == "branch":
            if revision in repository.branches:
                return 409, {"error": "exists"}, {}
            repository.branches[revision] = repository.branches["main"]
            return 200, {}, {}
        if repository.files(revision) is None:
            return 404, {}, {"X-Error-Code": "RevisionNotFound"}
        if kind == "preupload":
            modes = [
                {"path": file["path"], "shouldIgnore": False, "uploadMode": mode}
                for file in json.loads(body)["files"]
                for mode in ["lfs" if file["path"].endswith(".safetensors") else "regular"]
            ]
            return 200, {"files": modes}, {}
        files, message = dict(repository.files(revision)[1]), ""
        for operation in map(json.loads, body.splitlines()):
            key, value = operation["key"], operation["value"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        commit = repository.commit(files, revision, message)
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{commit}", "commitOid": commit}, {}
