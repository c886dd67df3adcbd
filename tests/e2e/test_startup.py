"""Mistakes of the operator: a clear error with file and line, and the exit code that scripts rely on."""

import copy
import json
import os
import socket
import stat
import time

import clinic
import pytest
from processes import TIME_FACTOR, free_port, run_fieldgate, write_config

USAGE, UNAVAILABLE, CONFIGURATION = 64, 69, 78


@pytest.fixture
def good(stand):
    return copy.deepcopy(stand.config)


def check(config, tmp_path, command=("check",), **options):
    path = write_config(config, tmp_path / "fieldgate.yaml")
    return run_fieldgate(*command, "-c", path, **options)


def test_a_good_configuration(good, tmp_path):
    code, out, err = check(good, tmp_path)
    assert code == 0, out + err


def test_check_connect(good, tmp_path):
    code, out, err = check(good, tmp_path, ("check", "--connect"))
    assert code == 0, out + err


def test_check_connect_to_nobody(good, tmp_path):
    good["upstream"]["uri"] = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=1500"
    code, out, err = check(good, tmp_path, ("check", "--connect"))
    assert code == UNAVAILABLE, f"{code}: {out}{err}"


def test_check_connect_to_somebody_who_is_silent(good, tmp_path):
    """Goal: whoever waits at a terminal is told within seconds, whatever the connection string allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        good["upstream"]["uri"] = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/?connectTimeoutMS=60000"
        started = time.monotonic()
        code, out, err = check(good, tmp_path, ("check", "--connect"))
    assert code == UNAVAILABLE and "no primary within 5000 ms" in err, f"{code}: {out}{err}"
    assert time.monotonic() - started < 8 * TIME_FACTOR


@pytest.mark.parametrize("arguments", [
    [], ["fly"], ["run"], ["run", "--no-such-option"], ["keys"], ["keys", "fly"], ["check", "-c"], ["init"],
], ids=str)
def test_wrong_usage(arguments):
    code, _, err = run_fieldgate(*arguments)
    assert code == USAGE and err.strip(), f"{code}: {err}"


@pytest.mark.parametrize("arguments, expected", [
    ("fly", "fieldgate: `fly` is none of its commands: run, check, init, keys, schema, explain\n"
            "Run fieldgate --help for"),
    ("keys lst -c x", "fieldgate keys: `lst` is none of its commands: create, list, alias, rewrap, delete\n"
                      "Run fieldgate keys --help for"),
    ("keys alias rename -c x a b", "fieldgate keys alias: `rename` is none of its commands: add, remove\n"),
    ("keys", "A subcommand is required\nRun fieldgate keys --help for"),
    ("keys list", "--config is required\nRun fieldgate keys list --help for"),
    ("keys list -c x y", "The following argument was not expected: y\nRun fieldgate keys list --help for"),
])
def test_wrong_usage_names_the_word_and_the_way_out(arguments, expected):
    code, _, err = run_fieldgate(*arguments.split())
    assert code == USAGE and expected in err, f"{code}: {err}"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["keys", "--help"], ["--version"]], ids=str)
def test_help_and_version(arguments):
    code, out, _ = run_fieldgate(*arguments)
    assert code == 0 and "fieldgate" in out.lower()


@pytest.mark.parametrize("command, option, value", [
    ("create", "--provider", ""), ("create", "--master-key", ""), ("create", "--key-material", ""), ("create", "--id", ""),
    ("create", "--alt-name", ""), ("rewrap", "--filter", ""), ("rewrap", "--filter", "[name=x,all]"),
    ("rewrap --filter all", "--provider", ""), ("rewrap --filter all", "--master-key", ""),
])
def test_an_empty_or_odd_value_is_not_the_same_as_no_option(good, tmp_path, command, option, value):
    code, _, err = check(good, tmp_path, ("keys", *command.split(), option, value))
    assert code == USAGE and option in err, f"{code}: {err}"


def test_help_names_levels_once():
    _, out, _ = run_fieldgate("run", "--help")
    assert "trace, debug, info" in out and "->" not in out, out


@pytest.mark.parametrize("command", ["run", "check", "keys list"])
def test_a_configuration_that_is_not_there(tmp_path, command):
    code, _, err = run_fieldgate(*command.split(), "-c", tmp_path / "nowhere.yaml")
    assert code == CONFIGURATION and "nowhere.yaml" in err, f"{code}: {err}"


def without_keys(config):
    config["kms_providers"]["local"]["key_file"] = "/nonexistent/master-key.bin"


def unknown_key(config):
    config["upstream"]["urri"] = "x"


def unknown_role(config):
    config["listeners"][0]["role"] = "janitor"


def bad_uri(config):
    config["upstream"]["uri"] = "http://127.0.0.1/"


def unknown_uri_option(config):
    config["upstream"]["uri"] += "&noSuchOption=1"


def bad_algorithm(config):
    config["schemas"]["medicalRecords.patients"]["schema"]["properties"]["ssn"]["encrypt"]["algorithm"] = "ROT13"


def deterministic_array(config):
    config["schemas"]["medicalRecords.patients"]["schema"]["properties"]["medicalRecords"]["encrypt"]["algorithm"] = clinic.DETERMINISTIC


def no_listeners(config):
    config["listeners"] = []


def bad_address(config):
    config["listeners"][0]["address"] = "127.0.0.1:notaport"


def missing_certificate(config):
    config["listeners"][0]["tls"] = {"certificate_key_file": "/nonexistent/server.pem"}


@pytest.mark.parametrize("spoil, word", [
    (without_keys, "master-key.bin"), (unknown_key, "urri"), (unknown_role, "janitor"), (bad_uri, "uri"),
    (unknown_uri_option, "nosuchoption"), (bad_algorithm, "ROT13"), (deterministic_array, "medicalRecords"), (no_listeners, "listeners"),
    (bad_address, "address"), (missing_certificate, "server.pem"),
], ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_mistake_in_the_configuration(good, tmp_path, spoil, word, command):
    spoil(good)
    code, out, err = check(good, tmp_path, (command,))
    assert code == CONFIGURATION, f"{code}: {out}{err}"
    assert word.lower() in (out + err).lower() and "fieldgate.yaml:" in out + err, out + err


def unreadable_certificate(config, tmp_path):
    file = tmp_path / "server.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
    config["listeners"][0]["tls"] = {"certificate_key_file": str(file)}


def unreadable_authorities(config, tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
    config["upstream"]["uri"] += f"&tls=true&tlsCAFile={file}"


def address_of_nobody(config, _):
    config["listeners"][0]["address"] = "no-such-host.invalid:27117"


def file_for_a_socket(config, tmp_path):
    config["listeners"][0]["address"] = f"unix:{tmp_path}"


@pytest.mark.parametrize("spoil, words", [
    (unreadable_certificate, "certificate in "), (unreadable_authorities, "certificate authorities in "),
    (address_of_nobody, "cannot listen on no-such-host.invalid:27117: "), (file_for_a_socket, "not a socket is in the way"),
], ids=lambda v: getattr(v, "__name__", ""))
def test_check_says_what_run_would_refuse(good, tmp_path, spoil, words):
    spoil(good, tmp_path)
    for command in ("check", "run"):
        code, out, err = check(good, tmp_path, (command,))
        assert code == CONFIGURATION and words in out + err, f"{command}: {code}: {out}{err}"


@pytest.mark.parametrize("size", [0, 1, 95, 97, 200])
def test_a_master_key_of_the_wrong_length(good, tmp_path, size):
    key_file = tmp_path / "short-key.bin"
    key_file.write_bytes(os.urandom(size))
    good["kms_providers"]["local"]["key_file"] = str(key_file)
    code, out, err = check(good, tmp_path)
    assert code == CONFIGURATION and "96" in out + err, f"{code}: {out}{err}"


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path, good):
    text = json.dumps(good, indent=2).replace('"role": "doctor"', '"role": "janitor"', 1).replace('"format": "json"', '"format": "xml"')
    path = write_config(text, tmp_path / "several.yaml")
    code, out, err = run_fieldgate("check", "-c", path)
    assert code == CONFIGURATION
    for word in ('"janitor"', '"xml"'):
        line = next(n for n, content in enumerate(text.splitlines(), 1) if word in content)
        assert f"several.yaml:{line}" in out + err, out + err


@pytest.mark.parametrize("text, word", [
    ("upstream: {uri: 'mongodb://h/'}\nupstream: {uri: 'mongodb://i/'}\n", "upstream"),
    ("a: &x 1\nb: *x\n", "anchor"), ("upstream: {uri: 'mongodb://h/'}\n---\nupstream: {}\n", "document"), ("[1, 2", ""), ("", ""),
], ids=["duplicate", "anchor", "second document", "no YAML", "empty"])
def test_yaml_that_is_refused(tmp_path, text, word):
    path = write_config(text, tmp_path / "odd.yaml")
    code, out, err = run_fieldgate("check", "-c", path)
    assert code == CONFIGURATION and word in out + err and "odd.yaml" in out + err, f"{code}: {out}{err}"


def test_the_environment_overrides_scalars(good, tmp_path):
    code, out, err = check(good, tmp_path, env={"FIELDGATE_LOG__LEVEL": "shouting"})
    assert code == CONFIGURATION and "shouting" in out + err, f"{code}: {out}{err}"
    code, out, err = check(good, tmp_path, env={"FIELDGATE_LOG__LEVEL": "debug", "FIELDGATE_PORT": "tcp://10.0.0.1:27017"})
    assert code == 0, out + err


def test_a_port_in_use(good, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        good["listeners"][0]["address"] = f"127.0.0.1:{port}"
        code, out, err = check(good, tmp_path, ("run",))
    assert code not in (0, USAGE) and str(port) in out + err, f"{code}: {out}{err}"


def test_keys_create_without_a_server(good, tmp_path):
    good["upstream"]["uri"] = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=1500"
    started = time.monotonic()
    code, out, err = check(good, tmp_path, ("keys", "create", "--provider", "local", "--alt-name", "x"))
    assert code == UNAVAILABLE and err.strip(), f"{code}: {out}{err}"
    assert time.monotonic() - started < 25


def test_a_running_fieldgate_without_a_server(stand, database):
    """Goal: an unreachable server is an error for clients, not the end of fieldgate; a strict start may also end with 69."""
    from pymongo.errors import PyMongoError
    uri = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=1500"
    try:
        gateway = stand.start(name="lonely", upstream={"uri": uri, "election_wait": "1s"})
    except RuntimeError as error:
        assert "ended with 69" in str(error)
        return
    client = stand.client(gateway.uri("doctors"), serverSelectionTimeoutMS=3000)
    with pytest.raises(PyMongoError):
        client[database].patients.insert_one({"name": "x"})
    assert gateway.running() and gateway.stop() == 0


def test_a_key_vault_without_the_key_is_an_error_on_first_use(stand, database, patient):
    from refusal import refused
    schema = {**clinic.SCHEMA, "encryptMetadata": {"keyAltName": "no-such-key"}}
    try:
        gateway = stand.start(name="keyless", schemas={"clinic_*.patients": {"schema": schema}})
    except RuntimeError as error:
        assert "no-such-key" in str(error)
        return
    client = stand.client(gateway.uri("doctors"))
    with refused(words="key"):
        client[database].patients.insert_one(patient())
    with refused(words="key"):
        client[database].patients.find_one({"ssn": 5})
    assert stand.direct[database].patients.count_documents({}) == 0
    client[database].wards.insert_one({"works": True})
    assert gateway.stop() == 0


def test_init_writes_a_configuration_that_check_accepts(tmp_path):
    code, out, err = run_fieldgate("init", tmp_path / "new")
    assert code == 0, out + err
    configurations = list((tmp_path / "new").glob("*.yaml"))
    assert len(configurations) == 1
    code, out, err = run_fieldgate("check", "-c", configurations[0])
    assert code == 0, out + err
    keys = [f for f in (tmp_path / "new").iterdir() if f.stat().st_size in (96, 128, 129)]
    assert keys and all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in keys)
    before = {f: f.read_bytes() for f in (tmp_path / "new").iterdir()}
    run_fieldgate("init", tmp_path / "new")
    assert {f: f.read_bytes() for f in before} == before, "init overwrote what was there"


def test_keys_list(stand):
    code, out, err = run_fieldgate("keys", "list", "-c", stand.config_file)
    assert code == 0 and "clinic" in out and "local" in out, out + err
    code, out, err = run_fieldgate("keys", "list", "--json", "-c", stand.config_file)
    assert code == 0 and "clinic" in out, out + err
    material = bytes(stand.key_document()["keyMaterial"])
    import base64
    assert base64.b64encode(material).decode()[:40] not in out and material.hex()[:40] not in out
