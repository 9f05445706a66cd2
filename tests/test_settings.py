from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lemonade_like.configuration import default_config_path, load_settings, sample_config
from lemonade_like.settings import Settings, SettingsError, flag, user_folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose configuration folder is empty."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "APPDATA": str(tmp_path / "config")}


def config_file(folder: Path, text: str) -> str:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(cli: dict[str, Any], environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as error:
        load_settings(cli, environ)
    assert len(error.value.message.splitlines()) <= 3
    return error.value.message


def test_without_any_source_every_setting_is_its_default(home: dict[str, str]) -> None:
    assert load_settings({}, home) == Settings()


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, home: dict[str, str]
) -> None:
    path = config_file(tmp_path, "port: 1\nparallel: 1\nctx_size: 1\n")
    environ = home | {"LEMONADE_LIKE_PORT": "2", "LEMONADE_LIKE_PARALLEL": "2"}

    settings = load_settings({"config": path, "port": "3"}, environ)

    assert (settings.port, settings.parallel, settings.ctx_size) == (3, 2, 1)


def test_the_environment_can_name_the_file(tmp_path: Path, home: dict[str, str]) -> None:
    path = config_file(tmp_path, "log_level: debug\n")
    assert load_settings({}, home | {"LEMONADE_LIKE_CONFIG": path}).log_level == "debug"


def test_the_users_own_file_is_read_if_it_is_there(home: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    path = default_config_path(home)
    path.parent.mkdir(parents=True)
    path.write_text("port: 7\n")
    assert load_settings({}, home).port == 7


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", ".config/lemonade-like"),
        ("darwin", "Library/Application Support/lemonade-like"),
        ("win32", "AppData/Roaming/lemonade-like"),
    ],
)
def test_each_platform_has_its_own_folder_for_settings(
    platform: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert user_folder("config", {}) == Path.home() / folder


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_can_be_set_in_the_environment_and_in_the_file(
    name: str, tmp_path: Path, home: dict[str, str]
) -> None:
    values: dict[str, tuple[str, Any]] = {
        "port": ("81", 81),
        "ctx_size": ("4096", 4096),
        "load_timeout": ("30", 30),
        "watchdog_timeout": ("0", 0),
        "drain_timeout": ("60", 60),
        "queue_size": ("10", 10),
        "max_loaded_models": ("2", 2),
        "memory_budget": ("12.5", 12.5),
        "idle_timeout": ("300", 300),
        "max_crashes": ("5", 5),
        "reasoning_memory": ("8", 8),
        "response_store": ("8", 8),
        "response_store_count": ("8", 8),
        "response_store_days": ("8", 8),
        "parallel": ("2", 2),
        "models": ("a,b", ["a", "b"]),
        "backend": ("vulkan", "vulkan"),
        "reasoning_level": ("high", "high"),
        "reasoning_format": ("inline", "inline"),
        "harmony": ("always", "always"),
        "harmony_by_backend": ("cpu=never,vulkan=auto", {"cpu": "never", "vulkan": "auto"}),
        "harmony_by_model": ("mine=always", {"mine": "always"}),
        "model_aliases": ("gpt-4o=mine,claude-*=mine", {"gpt-4o": "mine", "claude-*": "mine"}),
        "keep_alive": ("2.5", 2.5),
        "llamacpp_args_by_backend": ("cpu=-t 8; vulkan=-ts 3,1", {"cpu": "-t 8", "vulkan": "-ts 3,1"}),
        "tool_servers": ('{"files": {"command": "files"}}', {"files": {"command": "files"}}),
        "max_tool_rounds": ("3", 3),
        "tool_result_limit": ("1000", 1000),
        "releases_url": ("http://mirror/github", "http://mirror/github"),
        "log_level": ("error", "error"),
        "record_max_mb": ("8", 8),
        "record_files": ("8", 8),
        "log_format": ("json", "json"),
        "log_prompts": ("true", True),
        "otlp_endpoint": ("http://collector:4318", "http://collector:4318"),
        "current_date": ("2026-01-31", "2026-01-31"),
        "api_key": ("one, two", ["one", "two"]),
        "admin_key": ("one", "one"),
        "insecure": ("1", True),
        "allowed_hosts": ("ai.example.com,*.lab", ["ai.example.com", "*.lab"]),
        "cors_origins": ("https://a.example", "https://a.example"),
        "max_body_mb": ("8", 8),
        "max_messages": ("8", 8),
    }
    text, value = values.get(name, (str(tmp_path), str(tmp_path)))

    from_environment = load_settings({}, home | {f"LEMONADE_LIKE_{name.upper()}": text})
    from_file = load_settings({"config": config_file(tmp_path, yaml.safe_dump({name: value}))}, home)

    assert getattr(from_environment, name) == getattr(from_file, name)
    assert getattr(from_environment, name) != getattr(Settings(), name)


@pytest.mark.parametrize("variable", ["LEMONADE_LIKE_MODEL", "LEMONADE_LIKE_MODELS"])
def test_models_in_the_environment_are_separated_by_commas(variable: str, home: dict[str, str]) -> None:
    assert load_settings({}, home | {variable: "one, /tmp/two.gguf"}).models == ("one", "/tmp/two.gguf")


def test_a_single_model_in_the_file_needs_no_list(tmp_path: Path, home: dict[str, str]) -> None:
    assert load_settings({"config": config_file(tmp_path, "model: one,1\n")}, home).models == ("one,1",)


def test_no_harmony_is_harmony_never_in_every_source(tmp_path: Path, home: dict[str, str]) -> None:
    assert load_settings({"no_harmony": True}, home).harmony == "never"
    assert load_settings({}, home | {"LEMONADE_LIKE_NO_HARMONY": "1"}).harmony == "never"
    assert load_settings({"config": config_file(tmp_path, "no_harmony: true\n")}, home).harmony == "never"
    assert load_settings({}, home | {"LEMONADE_LIKE_NO_HARMONY": "false"}).harmony == "auto"
    assert load_settings({"harmony": "always"}, home | {"LEMONADE_LIKE_NO_HARMONY": "1"}).harmony == "always"


def test_an_empty_variable_counts_as_not_set(home: dict[str, str]) -> None:
    assert load_settings({}, home | {"LEMONADE_LIKE_API_KEY": "", "LEMONADE_LIKE_PORT": " "}) == Settings()


def test_an_unknown_key_in_the_file_is_refused_with_the_nearest_known_ones(
    tmp_path: Path, home: dict[str, str]
) -> None:
    message = refusal({"config": config_file(tmp_path, "ctx-sise: 1\n")}, home)
    assert "'ctx-sise'" in message
    assert "settings.yaml" in message
    assert "Did you mean ctx_size" in message


@pytest.mark.parametrize(
    ("cli", "environ", "parts"),
    [
        ({"port": "99999"}, {}, ["'99999'", "--port", "the command line", "from 0 to 65535"]),
        ({"models": ("a",), "parallel": "0"}, {}, ["'0'", "--parallel", "from 1 to 256"]),
        ({}, {"LEMONADE_LIKE_PORT": "tcp://1"}, ["'tcp://1'", "LEMONADE_LIKE_PORT", "the environment", "65535"]),
        ({"log_level": "loud"}, {}, ["'loud'", "--log-level", "one of debug, info, warning, error"]),
        ({"llamacpp_args": "--a 'b"}, {}, ["--llamacpp-args", "quoted as in a shell"]),
        ({}, {"LEMONADE_LIKE_NO_HARMONY": "perhaps"}, ["'perhaps'", "LEMONADE_LIKE_NO_HARMONY", "true or false"]),
        ({}, {"LEMONADE_LIKE_HARMONY_BY_MODEL": "a=b"}, ["LEMONADE_LIKE_HARMONY_BY_MODEL", "auto, always or never"]),
    ],
)
def test_a_wrong_value_is_refused_with_its_source_and_what_is_allowed(
    cli: dict[str, Any], environ: dict[str, str], parts: list[str], home: dict[str, str]
) -> None:
    message = refusal(cli, home | environ)
    for part in parts:
        assert part in message


def test_a_wrong_value_in_the_file_names_the_file(tmp_path: Path, home: dict[str, str]) -> None:
    path = config_file(tmp_path, "parallel: many\n")
    message = refusal({"config": path}, home)
    assert path in message
    assert "'many'" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [("port: [1\n", "line 2 is not YAML"), ("just words\n", "must be lines of"), ("- a\n- b\n", "must be lines of")],
)
def test_a_file_that_is_no_mapping_is_refused(text: str, part: str, tmp_path: Path, home: dict[str, str]) -> None:
    assert part in refusal({"config": config_file(tmp_path, text)}, home)


def test_a_file_that_was_named_but_is_not_there_is_refused(tmp_path: Path, home: dict[str, str]) -> None:
    assert "no configuration file" in refusal({"config": str(tmp_path / "missing.yaml")}, home)


def test_both_spellings_of_one_setting_in_one_file_are_refused(tmp_path: Path, home: dict[str, str]) -> None:
    assert "Keep one" in refusal({"config": config_file(tmp_path, "model: a\nmodels: [b]\n")}, home)


def test_the_api_key_is_shown_nowhere(tmp_path: Path, home: dict[str, str]) -> None:
    settings = load_settings({"api_key": ["s3cret", "other"], "admin_key": "s3cret-too"}, home)
    assert [key.get_secret_value() for key in settings.api_key] == ["s3cret", "other"]
    assert [key.get_secret_value() for key in settings.admin_key] == ["s3cret-too"]
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    for wrong in ("1234", "[ok, 1234]", "'12 34'", "''", "{12: 34}"):
        for name in ("api_key", "admin_key"):
            message = refusal({"config": config_file(tmp_path, f"{name}: {wrong}\n")}, home)
            assert f"is no value for {name}" in message
            assert "12" not in message.replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "http://ai.example.com"),
        ("allowed_hosts", "ai.example.com:8000"),
        ("allowed_hosts", ["ok", ""]),
        ("cors_origins", "chat.example.com"),
        ("cors_origins", "https://chat.example.com/path"),
        ("cors_origins", "null"),
        ("cors_origins", "https://*"),
        ("max_body_mb", 0),
        ("max_messages", 0),
        ("insecure", "perhaps"),
        ("api_key_file", "~no-such-user/keys"),
    ],
)
def test_what_can_be_no_host_no_origin_and_no_limit_is_refused(
    name: str, value: Any, tmp_path: Path, home: dict[str, str]
) -> None:
    message = refusal({"config": config_file(tmp_path, yaml.safe_dump({name: value}))}, home)
    assert f"is no value for {name}" in message


def test_a_key_in_the_file_may_have_a_comma_in_it(tmp_path: Path, home: dict[str, str]) -> None:
    settings = load_settings({"config": config_file(tmp_path, "api_key: one,1\n")}, home)
    assert [key.get_secret_value() for key in settings.api_key] == ["one,1"]


def test_settings_are_frozen_and_read_nothing_but_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMONADE_LIKE_PORT", "9")
    monkeypatch.setenv("PORT", "9")
    settings = Settings()
    assert settings.port == 8000
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_logs_are_in_the_cache_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(cache_dir=tmp_path).log_dir == tmp_path / "logs"
    assert Settings(cache_dir=tmp_path, log_dir=tmp_path / "elsewhere").log_dir == tmp_path / "elsewhere"
    assert Settings(cache_dir=Path("~/cache")).cache_dir == Path.home() / "cache"


def test_the_sample_with_all_its_lines_taken_in_is_the_defaults(tmp_path: Path, home: dict[str, str]) -> None:
    lines = [line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in sample_config().splitlines()]
    path = config_file(tmp_path, "\n".join(lines))

    assert set(yaml.safe_load(Path(path).read_text())) == set(Settings.model_fields)
    assert load_settings({"config": path}, home) == Settings()


def test_the_sample_as_it_is_sets_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    assert load_settings({"config": config_file(tmp_path, sample_config())}, home) == Settings()


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert flag("ctx_size") == "--ctx-size"
    assert flag("models") == "--model"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(Path, "home", no_home)


@pytest.mark.usefixtures("homeless")
def test_a_home_is_needed_only_where_nothing_else_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert user_folder("cache", {"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "lemonade-like"
    assert load_settings({}, {"LEMONADE_LIKE_CACHE_DIR": str(tmp_path)}).cache_dir == tmp_path
    assert "LEMONADE_LIKE_CACHE_DIR" in refusal({}, {})


def test_a_folder_under_the_home_of_nobody_is_refused(home: dict[str, str]) -> None:
    assert "LEMONADE_LIKE_CACHE_DIR" in refusal({}, home | {"LEMONADE_LIKE_CACHE_DIR": "~no-such-user/x"})
    assert "~no-such-user" in refusal({"config": "~no-such-user/x.yaml"}, home)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("harmony_by_backend", {"vulcan": "never"}),
        ("harmony_by_backend", {"auto": "never"}),
        ("llamacpp_args_by_backend", {"vulcan": "-ngl 99"}),
        ("llamacpp_args_by_backend", {"vulkan": "'"}),
        ("releases_url", "ftp://mirror"),
        ("releases_url", "https://"),
    ],
)
def test_a_backend_or_mirror_that_cannot_be_is_refused(
    name: str, value: Any, tmp_path: Path, home: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match=f"is no value for {name}"):
        load_settings({"config": config_file(tmp_path, yaml.safe_dump({name: value}))}, home)


FILES = {"command": "npx", "env": {"TOKEN": "${TOKEN}"}, "cwd": "~/docs", "tools": ["read"]}
SEARCH = {"url": "https://${HOST}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}, "timeout": 5}


def tool_servers(folder: Path, environ: dict[str, str], **servers: Any) -> Settings:
    return load_settings({"config": config_file(folder, yaml.safe_dump({"tool_servers": servers}))}, environ)


def test_variables_keep_secrets_out_of_the_file_and_these_out_of_sight(tmp_path: Path, home: dict[str, str]) -> None:
    environ = home | {"TOKEN": "s3cret", "HOST": "search.test"}
    settings = tool_servers(tmp_path, environ, files=FILES, search=SEARCH)
    files, search = settings.tool_servers["files"], settings.tool_servers["search"]

    assert files.env["TOKEN"].get_secret_value() == "s3cret"
    assert files.cwd == Path.home() / "docs"
    assert search.headers["Authorization"].get_secret_value() == "Bearer s3cret"
    assert search.url is not None and search.url.get_secret_value() == "https://search.test/mcp"
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("server", "part"),
    [
        ({}, "tool_servers.mine is wrong"),
        ({"command": "x", "url": "http://s3cret"}, "either a 'command' or a 'url'"),
        ({"command": "x", "headers": {"a": "s3cret"}}, "'headers' does not go with a 'command'"),
        ({"url": "http://s3cret", "env": {"a": "s3cret"}}, "'env' does not go with a 'url'"),
        ({"url": "ftp://s3cret"}, "tool_servers.mine.url is wrong"),
        ({"command": "x", "timeout": 0}, "tool_servers.mine.timeout is wrong"),
        ({"command": ["s3cret"]}, "tool_servers.mine.command is wrong"),
        ({"command": "x", "env": {"A": ["s3cret"]}}, "tool_servers.mine.env.A is wrong"),
        ({"command": "x", "comand": "s3cret"}, "tool_servers.mine.comand is wrong"),
        ({"command": "x", "env": {"A": "${NOT_SET}"}}, "needs the environment variable NOT_SET"),
        (["s3cret"], "tool_servers.mine is wrong"),
    ],
)
def test_a_tool_server_that_cannot_be_is_refused_by_its_path_and_without_its_values(
    server: Any, part: str, tmp_path: Path, home: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as error:
        tool_servers(tmp_path, home, mine=server)
    assert part in error.value.message
    assert "settings.yaml" in error.value.message
    assert "s3cret" not in error.value.message


@pytest.mark.parametrize("label", ["", "1st", "a__b", "a_", "white space", "x" * 33, "ü"])
def test_a_label_can_be_told_from_a_tools_name(label: str, tmp_path: Path, home: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="a label is at most 32"):
        tool_servers(tmp_path, home, **{label: {"command": "x"}})


@pytest.mark.parametrize("text", ["[", "words", "[1]", "{a: 1}"])
def test_tool_servers_in_the_environment_are_yaml(text: str, home: dict[str, str]) -> None:
    assert "the environment" in refusal({}, home | {"LEMONADE_LIKE_TOOL_SERVERS": text})
