"""The user's own settings file."""

from pathlib import Path

import pytest

from hpcdl.settings import Settings, SettingsError, load_settings


def settings(text: str, folder: Path) -> Settings:
    (folder / "hpcdl").mkdir()
    (folder / "hpcdl" / "settings.yaml").write_text(text)
    return load_settings({"XDG_CONFIG_HOME": str(folder)})


def test_without_a_file_nothing_is_set(tmp_path):
    assert load_settings({"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()


def test_what_is_said_for_one_site_comes_before_what_is_said_for_all(tmp_path):
    mine = settings("account: all\nvenv: ~/venv\nsites:\n  here: {account: here, venv: /opt/venv}\n", tmp_path)
    assert (mine.account_at("here"), mine.venv_at("here")) == ("here", "/opt/venv")
    assert (mine.account_at("there"), mine.venv_at("there")) == ("all", str(Path.home() / "venv"))


def test_one_s_own_folders_may_begin_with_the_home(tmp_path):
    mine = settings("folders: {sites: ~/sites}\n", tmp_path)
    assert mine.folder("sites") == Path.home() / "sites"
    assert mine.folder("templates") is None


def test_a_misspelt_key_is_named_with_file_and_line(tmp_path):
    with pytest.raises(SettingsError, match=r"settings\.yaml:2: mail: unknown key\. Did you mean 'mail_user'\?"):
        settings("account: a\nmail: you@example.org\n", tmp_path)
