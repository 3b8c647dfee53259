import pytest

from webapp.settings import Settings, SettingsError

FULL = {
    "DATABASE_URL": "postgresql://me@db.example/sendoff",
    "REDIS_URL": "redis://cache.example/0",
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "BASE_URL": "https://sendoff.example/",
    "MAIL_FROM": "sendoff@sendoff.example",
}


def test_settings_are_read_and_frozen(tmp_path):
    settings = Settings.from_env(
        {**FULL, "SENDOFF_VAR": str(tmp_path), "TRUSTED_HOSTS": "a.example, b.example", "DEMO": "0"}
    )
    assert settings.database_url == "postgresql+psycopg://me@db.example/sendoff"
    assert settings.base_url == "https://sendoff.example"
    assert settings.trusted_hosts == ("a.example", "b.example")
    assert settings.secure_cookies
    assert not settings.demo
    with pytest.raises(AttributeError):
        settings.demo = True  # type: ignore[misc]


def test_all_that_is_missing_is_named_in_one_line(tmp_path):
    with pytest.raises(SettingsError) as problem:
        Settings.from_env({"SENDOFF_VAR": str(tmp_path), "PORT": "99999", "SECRET_KEY": "short"})
    told = str(problem.value)
    assert "DATABASE_URL, REDIS_URL, BASE_URL, MAIL_FROM are not set" in told
    assert "PORT must be a whole number from 0 to 65535" in told
    assert "SECRET_KEY must be at least 32 characters" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:///x.db"),
        ("REDIS_URL", "localhost"),
        ("BASE_URL", "https://sendoff.example/path"),
        ("BASE_URL", "ftp://sendoff.example"),
        ("MAIL_FROM", "not an address"),
        ("BOUNCE_DOMAIN", "https://bounces.example"),
        ("UNSUBSCRIBE_MAILBOX", "nobody"),
        ("DEMO", "maybe"),
        ("RELAY_TLS", "ssl"),
        ("PROXY", "-1"),
        ("LOG_LEVEL", "chatty"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(tmp_path, name, value):
    with pytest.raises(SettingsError, match=f"{name} must be"):
        Settings.from_env({**FULL, "SENDOFF_VAR": str(tmp_path), name: value})


def test_one_machine_mode_makes_its_secret_once_for_its_owner_only(tmp_path):
    given = {**FULL, "SENDOFF_VAR": str(tmp_path / "var"), "SENDOFF_LOCAL": "1", "SECRET_KEY": ""}
    first = Settings.from_env(given).secret_key
    assert len(first) == 64
    assert Settings.from_env(given).secret_key == first
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_a_command_by_hand_finds_what_one_machine_mode_chose(tmp_path):
    (tmp_path / "local.env").write_text(
        "SENDOFF_LOCAL=1\nDATABASE_URL=postgresql://u@/x?host=/run\nREDIS_URL=unix:///run/r\nPORT=8123\n"
    )
    settings = Settings.from_env({"SENDOFF_VAR": str(tmp_path)})
    assert settings.redis_url == "unix:///run/r"
    assert settings.base_url == "http://127.0.0.1:8123"
    assert (
        Settings.from_env({"SENDOFF_VAR": str(tmp_path), "REDIS_URL": "redis://other/1"}).redis_url == "redis://other/1"
    )
