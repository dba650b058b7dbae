"""Which key goes where, and that none is ever shown."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import FileError
from runner.core.model import Provider
from runner.core.problem import Problem
from runner.transport.secrets import (
    WELL_KNOWN,
    Secret,
    Secrets,
    Trust,
    check_address,
    host_of,
    is_loopback,
    read_trust,
    redact,
    trust_path,
)

MakeProvider = Callable[..., Provider]
CANARY = "sk-canary-1234567890"


def found(provider: Provider, *, names: frozenset[str] = frozenset(), trust: Trust | None = None) -> Problem | None:
    environ = {"HOME": "/home/me", "BOX_KEY": CANARY, **dict.fromkeys(WELL_KNOWN, CANARY)}
    return Secrets(environ, trust or Trust(), names).check(provider)


def test_a_key_never_shows_itself() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", repr([secret]), repr(Secrets({}, Trust()))]
    assert not any(CANARY in text for text in shown)
    assert (repr(secret), secret.reveal()) == ("***", CANARY)
    with pytest.raises(TypeError, match="a key is never written down"):
        pickle.dumps(secret)


def test_redaction_masks_plain_and_url_quoted_keys_and_leaves_short_ones() -> None:
    secrets = [Secret("a/b+c=="), Secret("abc"), Secret("")]
    assert redact("got a/b+c== and a%2Fb%2Bc%3D%3D, abc", secrets) == "got *** and ***, abc"


@given(st.text(st.characters(exclude_characters="*"), min_size=4), st.text(), st.text())
def test_redacted_text_never_holds_the_key(key: str, before: str, after: str) -> None:
    masked = redact(before + key + after, [Secret(key)])
    assert key not in masked


@pytest.mark.parametrize("variable", sorted(WELL_KNOWN))
def test_a_well_known_key_goes_to_its_own_host_only(make_provider: MakeProvider, variable: str) -> None:
    for host in WELL_KNOWN[variable]:
        assert found(make_provider(base_url=f"https://{host}/v1", key_env=variable)) is None
    everything = Trust(frozenset({(variable, "evil.example")}))
    stray = make_provider(base_url="https://evil.example", key_env=variable)
    problem = found(stray, names=frozenset({"box"}), trust=everything)
    assert problem is not None
    assert problem.code == "untrusted-provider"


def test_a_well_known_key_does_not_even_go_to_this_machine(make_provider: MakeProvider) -> None:
    problem = found(make_provider(key_env="OPENAI_API_KEY"))
    assert problem == Problem(
        "untrusted-provider",
        "provider 'box' would send the key in OPENAI_API_KEY to 127.0.0.1, and that key goes to api.openai.com only",
        fix="give 127.0.0.1 a key of its own: key_env: BOX_KEY",
    )


def test_a_variable_that_no_header_can_hold_is_told_before_the_run(make_provider: MakeProvider) -> None:
    provider = make_provider(header_env=(("OpenAI-Project", "OPENAI_PROJECT_ID"),))
    secrets = Secrets({"BOX_KEY": CANARY, "OPENAI_PROJECT_ID": "a b"}, Trust())
    assert secrets.check(provider) == Problem(
        "bad-variable",
        "OPENAI_PROJECT_ID has characters that no header can hold, such as a blank or a line break",
        fix="unset OPENAI_PROJECT_ID, or export it anew",
    )
    assert Secrets({"BOX_KEY": CANARY}, Trust()).check(provider) is None


def test_the_suggested_variable_is_never_a_well_known_one(make_provider: MakeProvider) -> None:
    problem = found(make_provider(name="cometapi", base_url="https://evil.example", key_env="OPENAI_API_KEY"))
    assert problem is not None
    assert problem.fix == "give evil.example a key of its own: key_env: MY_COMETAPI_KEY"


def test_another_key_needs_consent_for_its_host(make_provider: MakeProvider) -> None:
    problem = found(make_provider(base_url="https://api.box.example/v1"))
    assert problem == Problem(
        "untrusted-provider",
        "provider 'box' would send the key in BOX_KEY to api.box.example, and you have not allowed that",
        expected="your consent: a project's file alone cannot send a key anywhere",
        fix='add --trust box for one run, or {"variable": "BOX_KEY", "host": "api.box.example"} to "allow" in '
        "/home/me/.config/runner/trust.json",
    )


def test_consent_is_given_by_name_by_file_or_not_needed(make_provider: MakeProvider) -> None:
    distant = make_provider(base_url="https://API.Box.example./v1")
    assert found(distant, names=frozenset({"box"})) is None
    assert found(distant, names=frozenset({"other"})) is not None
    assert found(distant, trust=Trust(frozenset({("BOX_KEY", "api.box.example")}))) is None
    assert found(distant, trust=Trust(frozenset({("BOX_KEY", "other.example")}))) is not None
    assert found(make_provider()) is None
    assert found(make_provider(base_url="https://elsewhere.example", key_env="")) is None
    assert found(make_provider(base_url="https://elsewhere.example", is_builtin=True)) is None


def test_a_provider_without_an_address_needs_nothing(make_provider: MakeProvider) -> None:
    assert found(make_provider(dialect="llama", base_url="", key_env="")) is None


@pytest.mark.parametrize("environ", [{}, {"BOX_KEY": ""}, {"BOX_KEY": " \n"}])
def test_a_missing_key_names_its_variable(make_provider: MakeProvider, environ: dict[str, str]) -> None:
    assert Secrets(environ, Trust()).check(make_provider()) == Problem(
        "missing-key",
        "provider 'box' needs a key in the environment variable BOX_KEY, which is not set",
        fix="export BOX_KEY=YOUR_KEY",
    )


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel", "nul\x00"])
def test_a_key_that_no_header_can_carry_is_found_before_it_is_sent(make_provider: MakeProvider, value: str) -> None:
    problem = Secrets({"BOX_KEY": value}, Trust()).check(make_provider())
    assert problem is not None
    assert (problem.code, value in problem.message) == ("bad-key", False)


def test_the_key_is_given_without_the_blanks_around_it(make_provider: MakeProvider) -> None:
    secret = Secrets({"BOX_KEY": f" {CANARY}\n"}, Trust()).key_for(make_provider())
    assert secret is not None
    assert secret.reveal() == CANARY
    assert Secrets({}, Trust()).key_for(make_provider(key_env="")) is None


def test_no_key_is_given_where_the_check_has_a_finding(make_provider: MakeProvider) -> None:
    with pytest.raises(ValueError, match="you have not allowed that"):
        Secrets({"BOX_KEY": CANARY}, Trust()).key_for(make_provider(base_url="https://api.box.example"))


def test_all_keys_at_hand_are_known_for_redaction(make_provider: MakeProvider) -> None:
    secrets = Secrets({"BOX_KEY": "k1", "OPENAI_API_KEY": "k2", "OTHER": "k3"}, Trust())
    assert {secret.reveal() for secret in secrets.known(make_provider())} == {"k1", "k2"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://API.OpenAI.com.:443/v1", "api.openai.com"),
        ("http://[::1]:8080", "::1"),
        ("https://api.openai.com@evil.example/", ""),
        ("https://api.openai.com\\@evil.example/", ""),
        ("https://evil.example?x=api.openai.com", ""),
        ("https://evil.example#api.openai.com", ""),
        ("https://evil.example/ api.openai.com", ""),
        ("https://exämple.org", ""),
        ("https://box:port/", ""),
        ("https://[::1", ""),
        ("ftp://box.example", ""),
        ("box.example", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_address(url: str, host: str) -> None:
    assert host_of(url) == host


def test_this_machine_is_known_by_name_and_address() -> None:
    hosts = ["localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "10.0.0.1", "localhost.evil.example", "127.1"]
    assert [is_loopback(host) for host in hosts] == [True, True, True, True, False, False, False, False]


def test_plain_http_stays_on_this_machine(make_provider: MakeProvider) -> None:
    assert check_address(make_provider(base_url="http://localhost:1")) is None
    assert check_address(make_provider(base_url="http://box.example/v1")) == Problem(
        "insecure-address",
        "provider 'box' would send prompts to box.example without encryption",
        expected="https (http only to this machine: localhost, 127.0.0.1 or ::1)",
        fix="base_url: https://box.example/v1",
    )


def test_an_address_that_is_none_is_found(make_provider: MakeProvider) -> None:
    assert found(make_provider(base_url="box.example")) == Problem(
        "bad-address",
        "provider 'box' has no usable base_url",
        expected="an address such as https://api.example.com/v1, without a user, a query or blanks",
    )


def test_the_list_of_trusted_hosts_is_read_from_the_users_folder(home: dict[str, str]) -> None:
    assert read_trust(home) == Trust()
    path = trust_path(home)
    path.parent.mkdir(parents=True)
    path.write_text('{"allow": [{"variable": "BOX_KEY", "host": "Box.Example"}]}')
    assert read_trust(home).allows("BOX_KEY", "box.example")
    assert not read_trust(home).allows("BOX_KEY", "other.example")


def test_only_an_absolute_configuration_folder_counts(home: dict[str, str], tmp_path: Path) -> None:
    own = {**home, "XDG_CONFIG_HOME": str(tmp_path / "conf")}
    assert trust_path(own) == tmp_path / "conf" / "runner" / "trust.json"
    relative = {**home, "XDG_CONFIG_HOME": "inside/a/clone"}
    assert trust_path(relative) == tmp_path / ".config" / "runner" / "trust.json"
    assert trust_path({}) == Path.home() / ".config" / "runner" / "trust.json"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "does not have the expected shape"),
        ('{"allow": {}}', "does not have the expected shape"),
        ('{"allow": ["BOX_KEY"]}', "does not have the expected shape"),
        ('{"allow": [{"variable": "BOX_KEY"}]}', "does not have the expected shape"),
        ('{"allow": [{"variable": "BOX_KEY", "host": 7}]}', "does not have the expected shape"),
    ],
)
def test_a_damaged_list_of_trusted_hosts_is_said(home: dict[str, str], text: str, what: str) -> None:
    path = trust_path(home)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        read_trust(home)
    assert caught.value.problems == (
        Problem(
            "bad-trust-file",
            f"your list of trusted hosts {path} {what}",
            expected='{"allow": [{"variable": "BOX_KEY", "host": "box.example"}]}',
        ),
    )
    assert json.loads(caught.value.problems[0].expected)


def test_a_list_that_cannot_be_read_is_said(home: dict[str, str]) -> None:
    trust_path(home).mkdir(parents=True)
    with pytest.raises(FileError, match=r"trust\.json cannot be read: Is a directory"):
        read_trust(home)


def test_a_key_with_half_a_character_is_hidden_too() -> None:
    assert redact("the key 000\ud800 is out", [Secret("000\ud800")]) == "the key *** is out"
