"""The doctor on servers: those that answer, those that do not, and those that refuse."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.doctor_servers import check_servers


def test_a_configured_server_must_answer(prefect_server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        (check,) = check_servers()
        assert check.name == "Prefect"
        assert (check.status, check.detail) == ("ok", f"server at {prefect_server.api}")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        (check,) = check_servers()
        assert check.status == "fail"
        assert "unset PREFECT_API_URL" in check.remedy


def test_a_review_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")

    _, check = check_servers()

    assert check.status == "fail"
    assert "Label Studio at http://127.0.0.1:9: cannot be reached" in check.detail
    assert "LABEL_STUDIO_URL" in check.remedy


def test_a_review_server_tells_its_version_and_our_account(
    label_studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)

    _, check = check_servers()

    assert check.name == "Label Studio"
    assert (check.status, check.remedy) == ("ok", "")
    assert f"at {label_studio.url}, as winnow@localhost" in check.detail

    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef")
    _, refused = check_servers()
    assert refused.status == "fail"
    assert "refuses the token in LABEL_STUDIO_API_KEY" in refused.detail
