import pytest

from dispatch_server.identity.errors import FactorRefused
from dispatch_server.identity.factors import FactorRegistry
from dispatch_server.identity.totp import TotpFactor


def test_a_factor_is_found_by_its_kind() -> None:
    totp = TotpFactor()
    assert FactorRegistry([totp]).get("totp") is totp
    assert list(FactorRegistry([totp])) == [totp]


def test_a_kind_that_is_not_in_use_is_refused_without_quoting_it() -> None:
    with pytest.raises(FactorRefused) as caught:
        FactorRegistry([TotpFactor()]).get("my password")
    assert "my password" not in str(caught.value)


def test_two_factors_of_one_kind_are_misuse() -> None:
    with pytest.raises(ValueError, match="two factors"):
        FactorRegistry([TotpFactor(), TotpFactor()])


def test_a_deployment_without_any_second_factor_is_misuse() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FactorRegistry([])
