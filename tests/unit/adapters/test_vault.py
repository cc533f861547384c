"""What sealed secrets promise."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_facade.adapters.keys import KeyFile, create_key_file
from fhir_facade.adapters.system_clock import RandomIds, SystemClock
from fhir_facade.adapters.vault import KeyFileVault
from fhir_facade.errors import BadRequest

CLOCK = SystemClock()


@pytest.fixture
def keys(tmp_path):
    create_key_file(tmp_path / "keys.json", CLOCK)
    return KeyFile(tmp_path / "keys.json", CLOCK)


@pytest.fixture
def vault(keys):
    return KeyFileVault(keys)


def test_another_context_does_not_open(vault):
    sealed = vault.seal(b"token", context="connection:1")

    with pytest.raises(BadRequest):
        vault.open(sealed, context="connection:2")


def test_no_changed_byte_goes_unnoticed(vault):
    sealed = vault.seal(b"token", context="c")

    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(BadRequest):
            vault.open(changed, context="c")


def test_a_cut_or_longer_value_does_not_open(vault):
    sealed = vault.seal(b"token", context="c")

    for wrong in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0"):
        with pytest.raises(BadRequest):
            vault.open(wrong, context="c")


def test_another_deployments_key_of_the_same_number_does_not_open(vault, tmp_path):
    create_key_file(tmp_path / "other.json", CLOCK)
    other = KeyFileVault(KeyFile(tmp_path / "other.json", CLOCK))

    with pytest.raises(BadRequest):
        vault.open(other.seal(b"token", context="c"), context="c")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plain=st.binary(max_size=5000), context=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens_in_its_context(vault, plain, context):
    assert vault.open(vault.seal(plain, context=context), context=context) == plain


def test_the_same_secret_is_never_sealed_alike(vault):
    assert len({vault.seal(b"token", context="c") for _ in range(100)}) == 100


def test_a_steady_seal_is_the_same_for_the_same_in_one_context_under_one_key(vault, keys):
    def seal(plain, context):
        return vault.seal(plain, context=context, steady=True)

    first = seal(b"17", "c")

    assert vault.open(first, context="c") == b"17"
    assert first == seal(b"17", "c")
    assert (
        len({each[5:17] for each in (first, seal(b"18", "c"), seal(b"17", "d"), vault.seal(b"17", context="c"))}) == 4
    )
    keys.add()
    assert seal(b"17", "c") != first


def test_what_is_under_the_newest_key_is_not_sealed_again(vault):
    assert vault.reseal(vault.seal(b"token", context="c"), context="c") is None


def test_after_a_rotation_old_values_open_and_are_sealed_again_under_the_new_key(vault, keys):
    old = vault.seal(b"token", context="c")
    keys.add()

    new = vault.reseal(old, context="c")

    assert vault.open(old, context="c") == b"token"
    assert vault.open(new, context="c") == b"token"
    assert vault.reseal(new, context="c") is None


def test_a_value_is_resealed_only_in_its_context(vault, keys):
    old = vault.seal(b"token", context="c")
    keys.add()

    with pytest.raises(BadRequest):
        vault.reseal(old, context="d")


def test_a_process_that_knows_only_old_keys_opens_what_a_newer_one_sealed(vault, tmp_path):
    newer = KeyFile(tmp_path / "keys.json", CLOCK)
    newer.add()
    sealed = KeyFileVault(newer).seal(b"token", context="c")

    assert vault.open(sealed, context="c") == b"token"
    assert vault.reseal(sealed, context="c") is None


def test_a_running_process_seals_under_a_key_that_another_one_added(vault, tmp_path):
    old = vault.seal(b"token", context="c")
    KeyFile(tmp_path / "keys.json", CLOCK).add()

    new = vault.seal(b"token", context="c")

    assert vault.reseal(new, context="c") is None
    assert vault.open(vault.reseal(old, context="c"), context="c") == b"token"


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_text("{}")], ids=["gone", "bad"]
)
def test_a_key_file_that_is_damaged_while_running_stops_nothing_but_is_reported(vault, tmp_path, caplog, damage):
    sealed = vault.seal(b"token", context="c")
    damage(tmp_path / "keys.json")

    assert vault.open(vault.seal(b"more", context="c"), context="c") == b"more"
    assert vault.open(sealed, context="c") == b"token"
    assert "keys read before" in caplog.text


def test_ids_are_uuids_and_secrets_are_long_and_url_safe():
    ids = RandomIds()

    assert len({ids.new() for _ in range(50)}) == 50
    assert all(len(ids.new()) == 36 for _ in range(5))
    assert all(len(secret) == 43 and secret.replace("-", "").replace("_", "").isalnum() for secret in [ids.secret()])


def test_the_clock_is_aware_and_in_utc():
    assert CLOCK.now().utcoffset().total_seconds() == 0
