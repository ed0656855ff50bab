import hashlib
import io
import pickle
import shutil
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from spacy_elmo.formats import (
    PUBLISHED,
    read_source,
    resolve_source,
    write_hdf5,
    write_native,
)
from spacy_elmo.formats.published import PublishedFile
from spacy_elmo.formats.source import bundled_names


@pytest.fixture
def network(make_network):
    return make_network()


def assert_is(network, expected):
    assert network.config == expected.config
    assert all(
        torch.equal(a, b) for a, b in zip(network.parameters(), expected.parameters(), strict=True)
    )


def test_the_bundled_english_model():
    assert "en_small" in bundled_names()
    network = read_source("en_small")
    assert network.config.width == 256
    assert network.config.n_layers == 3
    state = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert state["token_encoder.char_embedding.weight"] == (261, 16)
    assert state["token_encoder.projection.weight"] == (128, 512)
    assert state["forward_lstm.layers.0.weight_ih"] == (2048, 128)
    assert state["backward_lstm.layers.1.weight_hr"] == (128, 512)
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_a_native_directory(network, tmp_path):
    write_native(network, tmp_path)
    assert_is(read_source(tmp_path), network)
    assert_is(read_source(str(tmp_path)), network)


@pytest.mark.parametrize("weights", ["w.hdf5", "w.h5"])
@pytest.mark.parametrize("options", ["options.json", "elmo_2x4096_options.json"])
def test_a_published_directory(network, tmp_path, weights, options):
    write_hdf5(network, tmp_path / weights).rename(tmp_path / options)
    assert_is(read_source(tmp_path), network)
    assert_is(read_source(str(tmp_path / weights)), network)
    assert_is(read_source((tmp_path / options, tmp_path / weights)), network)


def test_a_pair_may_lie_in_two_places_and_have_any_names(network, tmp_path):
    write_hdf5(network, tmp_path / "one" / "w.bin").rename(tmp_path / "o.txt")
    assert_is(read_source([str(tmp_path / "o.txt"), str(tmp_path / "one" / "w.bin")]), network)


def test_a_relative_path(network, tmp_path, monkeypatch):
    write_native(network, tmp_path / "bilm")
    monkeypatch.chdir(tmp_path)
    assert_is(read_source("bilm"), network)


def test_an_unknown_source_lists_what_was_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Can't find the biLM 'en_tiny'") as error:
        read_source("en_tiny")
    for tried in ("en_small", str(tmp_path / "en_tiny"), "model.safetensors", "options.json"):
        assert tried in str(error.value)


def test_a_file_that_holds_no_weights(tmp_path):
    (tmp_path / "notes.txt").write_text("No weights.")
    with pytest.raises(ValueError, match=r"notes\.txt isn't a file of weights: it is neither HDF5"):
        read_source(tmp_path / "notes.txt")


@pytest.mark.parametrize("source", ["a\0b", "\ud800", "a/b/c"])
def test_a_name_that_is_no_path(source):
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source(source)


def test_a_name_longer_than_paths_may_be():
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source("x" * 300)


@pytest.mark.parametrize("source", [[], ["a"], ("a", "b", "c")])
def test_not_a_pair(source):
    with pytest.raises(ValueError, match=r"a pair \(options, weights\)"):
        read_source(source)


def test_an_empty_directory(tmp_path):
    with pytest.raises(ValueError, match=r"\*options\.json \(found: none\)") as error:
        read_source(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_two_files_of_weights(network, tmp_path):
    write_hdf5(network, tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "a.hdf5", tmp_path / "b.h5")
    with pytest.raises(ValueError, match=r"\(found: a\.hdf5, b\.h5\)"):
        read_source(tmp_path)
    assert_is(read_source(tmp_path / "b.h5"), network)


def test_two_files_of_options(network, tmp_path):
    write_hdf5(network, tmp_path / "a.hdf5")
    shutil.copy(tmp_path / "options.json", tmp_path / "my_options.json")
    for source in (tmp_path, tmp_path / "a.hdf5"):
        with pytest.raises(ValueError, match=r"\(found: my_options\.json, options\.json\)"):
            read_source(source)
    assert_is(read_source((tmp_path / "options.json", tmp_path / "a.hdf5")), network)


def test_weights_without_options(network, tmp_path):
    write_hdf5(network, tmp_path / "w.hdf5").unlink()
    for source in (tmp_path, tmp_path / "w.hdf5"):
        with pytest.raises(ValueError, match=r"\*options\.json \(found: none\)"):
            read_source(source)


def test_options_without_weights(network, tmp_path):
    write_hdf5(network, tmp_path / "w.hdf5")
    (tmp_path / "w.hdf5").unlink()
    with pytest.raises(ValueError, match=r"\*\.hdf5 or \*\.h5 \(found: none\)"):
        read_source(tmp_path)


def test_half_a_native_directory(network, tmp_path):
    """Not mistaken for a published one: the error names the missing file."""
    for name, other in [("config.json", "model.safetensors"), ("model.safetensors", "config.json")]:
        write_native(network, tmp_path / other)
        (tmp_path / other / name).unlink()
        with pytest.raises(ValueError, match=name):
            read_source(tmp_path / other)


@pytest.fixture
def files(network, tmp_path):
    """The files of one biLM in both layouts, under the names that are asked of the server."""
    write_hdf5(network, tmp_path / "hdf5" / "w.hdf5")
    write_native(network, tmp_path / "native")
    folders = [tmp_path / "hdf5", tmp_path / "native"]
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}


@pytest.fixture
def check(network):
    """Reads a source twice, the second time without the server."""

    def call(server, source):
        assert_is(read_source(source), network)
        server.close()
        n_requests = len(server.requests)
        assert_is(read_source(source), network)
        assert len(server.requests) == n_requests

    return call


def zipped(files):
    content = io.BytesIO()
    with ZipFile(content, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()


def tarred(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as file:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return content.getvalue()


def native(files, prefix=""):
    return {prefix + name: files[name] for name in ("config.json", "model.safetensors")}


def sha256(content):
    return f"#sha256={hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize(
    ("weights", "options"),
    [
        ("w.hdf5", "options.json"),
        ("w.h5", "options.json"),
        ("weights.hdf5", "options.json"),
        ("elmo_pt_weights.hdf5", "elmo_pt_options.json"),
        ("elmo_pt_weights.hdf5", "options.json"),
        ("elmo_2x_weights_PubMed_only.hdf5", "elmo_2x_options.json"),
    ],
)
def test_the_url_of_an_hdf5_file_with_its_options_beside_it(serve, check, files, weights, options):
    server = serve({f"a/{weights}": files["w.hdf5"], f"a/{options}": files["options.json"]})
    check(server, f"{server.url}/a/{weights}")


def test_the_url_of_an_hdf5_file_without_options(serve, files):
    server = serve({"elmo_weights.hdf5": files["w.hdf5"]})
    with pytest.raises(ValueError, match="Can't find the options") as error:
        read_source(f"{server.url}/elmo_weights.hdf5")
    assert f"{server.url}/elmo_options.json, {server.url}/options.json" in str(error.value)
    assert ("elmo_weights.hdf5", None) not in server.requests


def test_a_pair_of_urls(serve, check, files):
    server = serve({"one/o": files["options.json"], "two/w": files["w.hdf5"]})
    check(server, [f"{server.url}/one/o", f"{server.url}/two/w"])


def test_a_pair_of_urls_with_checksums(serve, check, files):
    options, weights = files["options.json"], files["w.hdf5"]
    server = serve({"o": options, "w": weights})
    for pair in [(weights, weights), (options, options)]:
        with pytest.raises(ValueError, match="sha256"):
            read_source([f"{server.url}/o{sha256(pair[0])}", f"{server.url}/w{sha256(pair[1])}"])
    check(server, [f"{server.url}/o{sha256(options)}", f"{server.url}/w{sha256(weights)}"])


def test_a_pair_of_a_path_and_a_url(serve, check, files, tmp_path):
    server = serve({"w": files["w.hdf5"]})
    check(server, [tmp_path / "hdf5" / "options.json", f"{server.url}/w"])


@pytest.mark.parametrize("name", ["bilm", "bilm/", "bilm/model.safetensors", "3.0", "bilm?t=1"])
def test_the_url_of_a_native_directory(serve, check, files, name):
    folder = name.removesuffix("model.safetensors").partition("?")[0].rstrip("/")
    query = name[name.index("?") :] if "?" in name else ""
    content = native(files, f"{folder}/")
    server = serve({path + query: data for path, data in content.items()})
    check(server, f"{server.url}/{name}")


def test_a_native_directory_with_a_checksum_of_its_weights(serve, check, files):
    server = serve(native(files, "bilm/"))
    url = f"{server.url}/bilm/model.safetensors"
    with pytest.raises(ValueError, match="sha256"):
        read_source(url + sha256(files["w.hdf5"]))
    check(server, url + sha256(files["model.safetensors"]))


def test_the_url_of_half_a_native_directory(serve, files):
    server = serve({"bilm/config.json": files["config.json"]})
    with pytest.raises(ValueError, match=r"Can't fetch .*/bilm/model\.safetensors"):
        read_source(f"{server.url}/bilm")


@pytest.mark.parametrize(
    "layout", [("config.json", "model.safetensors"), ("options.json", "w.hdf5")]
)
@pytest.mark.parametrize("prefix", ["", "bilm/", "a/b/"])
@pytest.mark.parametrize(
    ("name", "pack"),
    [("136.zip", zipped), ("elmo.tar.gz", tarred), ("elmo.tgz", tarred), ("download?f=1", tarred)],
)
def test_the_url_of_an_archive(serve, check, files, layout, prefix, name, pack):
    server = serve({name: pack({prefix + file: files[file] for file in layout})})
    check(server, f"{server.url}/{name}")


@pytest.mark.parametrize("name", ["elmo.zip", "elmo"])
def test_an_archive_with_a_checksum(serve, check, files, cache, name):
    content = zipped(native(files))
    server = serve({name: content})
    with pytest.raises(ValueError, match="sha256"):
        read_source(f"{server.url}/{name}{sha256(files['w.hdf5'])}")
    check(server, f"{server.url}/{name}{sha256(content)}")
    assert not list(cache.rglob("elmo")) and not list(cache.rglob("elmo.zip"))


def test_an_archive_that_leads_out_of_the_cache(serve, cache, tmp_path):
    server = serve({"a.zip": zipped({"../../../theirs": b"", "config.json": b"{}"})})
    with pytest.raises(ValueError, match="may lead elsewhere"):
        read_source(f"{server.url}/a.zip")
    assert not list(cache.parent.rglob("theirs"))


def test_a_url_where_nothing_is(serve):
    server = serve({})
    with pytest.raises(ValueError, match="Can't find a biLM at") as error:
        read_source(f"{server.url}/bilm")
    assert "config.json" in str(error.value) and "an archive" in str(error.value)
    with pytest.raises(ValueError, match=r"Can't fetch .*config\.json"):
        read_source(f"{server.url}/bilm/")
    with pytest.raises(ValueError, match=r"Can't fetch .*a\.zip: there is no such file"):
        read_source(f"{server.url}/a.zip")


def test_a_server_that_is_down_is_not_a_missing_file(serve):
    """The error is not about archives."""
    server = serve({})
    server.errors["bilm/config.json"] = [503] * 4
    server.files["bilm/config.json"] = b""
    with pytest.raises(ValueError, match=r"^Can't fetch .*/bilm/config\.json: 503"):
        read_source(f"{server.url}/bilm")


def test_a_file_url_is_a_path(network, tmp_path, cache):
    write_native(network, tmp_path / "a b")
    assert_is(read_source(f"file://{tmp_path}/a b"), network)
    assert resolve_source(f"file://{tmp_path}/a b") == tmp_path / "a b"
    write_hdf5(network, tmp_path / "c" / "w.hdf5")
    pair = [f"file://{tmp_path}/c/options.json", f"file://{tmp_path}/c/w.hdf5"]
    assert_is(read_source(pair), network)
    assert list(cache.iterdir()) == []
    with pytest.raises(ValueError, match="Can't find the biLM"):
        read_source(f"file://{tmp_path}/nowhere")
    for source in (pair[1] + sha256(b""), [pair[0], pair[1] + sha256(b"")]):
        with pytest.raises(ValueError, match="checksum"):
            read_source(source)


def test_an_archive_on_this_machine(files, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(native(files)))
    with pytest.raises(ValueError, match=r"a\.zip is an archive\. Unpack it"):
        read_source(tmp_path / "a.zip")


@pytest.fixture
def publish(monkeypatch):
    """Makes files known by a published name. Each is a tuple of addresses and a checksum."""

    def call(name, *files):
        entries = tuple(PublishedFile(urls=urls, size=None, sha256=sha) for urls, sha in files)
        bilm = PUBLISHED[name].model_copy(update={"files": entries})
        monkeypatch.setitem(PUBLISHED, name, bilm)

    return call


def test_published_names(serve, check, files, publish):
    server = serve(
        {"o": files["options.json"], "w": files["w.hdf5"], "136.zip": zipped(native(files))}
    )
    publish("allennlp/small", ((f"{server.url}/o",), None), ((f"{server.url}/w",), None))
    publish("many_langs/ar", ((f"{server.url}/136.zip",), None))
    read_source("many_langs/ar")
    check(server, "allennlp/small")
    read_source("many_langs/ar")


def test_a_mirror_is_asked_where_the_first_address_fails(serve, check, files, publish):
    archive = zipped(native(files))
    gone = serve({"136.zip": zipped({"config.json": b"{}"})})
    mirror = serve({"a/136.zip": archive})
    urls = (f"{gone.url}/none.zip", f"{gone.url}/136.zip", f"{mirror.url}/a/136.zip")
    publish("many_langs/ar", (urls, hashlib.sha256(archive).hexdigest()))
    check(mirror, "many_langs/ar")
    n_requests = len(gone.requests)
    read_source("many_langs/ar")
    assert len(gone.requests) == n_requests == 2


def test_published_files_of_one_name(serve, network, files, publish):
    """As a store's that tells its files apart by the query."""
    query = "download?id={}&confirm=t".format
    server = serve({query(1): files["options.json"], query(2): files["w.hdf5"]})
    publish("bioelmo", *(((f"{server.url}/{query(i)}",), None) for i in (1, 2)))
    assert_is(read_source("bioelmo"), network)
    server.close()
    assert_is(read_source("bioelmo"), network)


def test_no_address_has_a_published_file(serve, publish):
    server = serve({})
    publish("many_langs/ar", ((f"{server.url}/a.zip", f"{server.url}/b.zip"), None))
    with pytest.raises(ValueError, match=r"/a\.zip: .*/b\.zip: "):
        read_source("many_langs/ar")


def test_a_published_name_goes_before_a_path(serve, network, files, publish, monkeypatch, tmp_path):
    server = serve({"136.zip": zipped(native(files))})
    publish("many_langs/ar", ((f"{server.url}/136.zip",), None))
    monkeypatch.chdir(tmp_path)
    Path("many_langs/ar").mkdir(parents=True)
    assert_is(read_source("many_langs/ar"), network)
    assert resolve_source("./many_langs/ar") == Path("many_langs/ar")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("allennlp/smal", "allennlp/small"),
        ("small", "allennlp/small"),
        ("de", "many_langs/de"),
        ("en_smal", "en_small"),
        ("allennlp/original_5.5B", "allennlp/original_5.5b"),
        ("many-langs/grc", "many_langs/grc"),
    ],
)
def test_an_unknown_name_brings_near_ones_to_mind(name, meant):
    with pytest.raises(ValueError, match=r"Did you mean [^?]*\?") as error:
        read_source(name)
    assert meant in str(error.value).partition("Did you mean")[2].partition("?")[0]


def test_an_unknown_name_that_is_near_to_none():
    with pytest.raises(ValueError, match="elmo download --list") as error:
        read_source("qqqqqq")
    assert "Did you mean" not in str(error.value)


class Payload:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "name", ["encoder.pkl", "pytorch_model.bin", "weights.hdf5", "model.safetensors", "w.pt"]
)
@pytest.mark.parametrize("options_name", ["options.json", "config.json", None])
@pytest.mark.parametrize("save", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_nothing_that_is_pickled_is_loaded(network, tmp_path, name, options_name, save):
    folder = tmp_path / "bilm"
    folder.mkdir()
    if options_name is not None:
        (folder / options_name).write_text(network.config.model_dump_json())
    with open(folder / name, "wb") as file:
        save(Payload(tmp_path / "mark"), file)
    for source in (folder, folder / name, (folder / "options.json", folder / name)):
        with pytest.raises(ValueError, match=str(folder)):
            read_source(source)
    assert not (tmp_path / "mark").exists()


def test_options_in_the_cache_are_not_those_of_other_weights(serve, make_network, tmp_path):
    """A folder with two biLMs: one has ``options.json``, the other options of its own name."""
    files = {}
    networks = {"w.hdf5": make_network(), "elmo_weights.hdf5": make_network(seed=1, n_layers=1)}
    for name, options in [("w.hdf5", "options.json"), ("elmo_weights.hdf5", "elmo_options.json")]:
        written = write_hdf5(networks[name], tmp_path / options / name)
        files |= {options: written.read_bytes(), name: (tmp_path / options / name).read_bytes()}
    server = serve(files)
    for name, network in networks.items():
        assert_is(read_source(f"{server.url}/{name}"), network)
