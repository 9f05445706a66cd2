from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.models.names import is_checkpoint, is_path, read_checkpoint, user_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/repo", "org/repo"),
        ("org/repo:Q4_K_M", "org/repo:Q4_K_M"),
        ("org/repo:q4_k_m", "org/repo:Q4_K_M"),
        ("org/repo:UD-q4_k_xl", "org/repo:UD-Q4_K_XL"),
        ("org/repo:m-q4.gguf", "org/repo:m-q4.gguf"),
        ("org/repo:sub/m-q4.gguf", "org/repo:sub/m-q4.gguf"),
        ("hf.co/org/repo:Q4_K_M", "org/repo:Q4_K_M"),
        ("HF.co/org/repo", "org/repo"),
        ("https://huggingface.co/org/repo:Q4_K_M", "org/repo:Q4_K_M"),
        ("huggingface.co/org/repo", "org/repo"),
        ("repo", None),
        ("hf.co/repo", None),
        ("org/repo/more", None),
        ("org/repo:", None),
        ("org/repo:Q4:Q5", None),
        ("org/repo:Q4 ", None),
        ("org/repo:Q4\n", None),
        ("/etc/passwd", None),
        ("/org/repo", None),
        ("../repo", None),
        ("org/..", None),
        ("org/a--b", None),
        ("org/repo:../secret.gguf", None),
        ("org/repo:a/../secret.gguf", None),
        ("org/repo:/etc/secret.gguf", None),
        ("C:\\models\\a.gguf", None),
        ("", None),
    ],
)
def test_a_checkpoint_is_read_the_same_however_it_is_written(text: str, expected: str | None) -> None:
    assert read_checkpoint(text) == expected


@given(st.text(alphabet="aA1./:-_\\~ hfco", max_size=30))
def test_a_checkpoint_never_leads_out_of_its_repository(text: str) -> None:
    checkpoint = read_checkpoint(text)
    if checkpoint is None:
        return
    assert read_checkpoint(checkpoint) == checkpoint
    repo, _, quant = checkpoint.partition(":")
    assert repo.count("/") == 1
    assert not {"", ".", ".."} & set(repo.split("/"))
    assert not quant or not {"", ".", ".."} & set(quant.split("/"))


def test_an_entry_has_no_host_before_its_checkpoint() -> None:
    assert is_checkpoint("org/repo:Q4")
    assert not is_checkpoint("hf.co/org/repo:Q4")
    assert not is_checkpoint("repo")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mine", "user.mine"),
        ("user.mine", "user.mine"),
        ("User.Mine-1.5+x_y", "user.Mine-1.5+x_y"),
        ("user.", None),
        ("", None),
        ("user.a/b", None),
        ("user...", None),
        ("user.a b", None),
        ("user.a\n", None),
        ("a" * 97, None),
    ],
)
def test_a_name_of_the_users_own_is_plain(text: str, expected: str | None) -> None:
    assert user_name(text) == expected


@pytest.mark.parametrize(
    "given", ["a.gguf", "A.GGUF", "./a", "../a", "/a/b", "~/a", "a/b/c", "models/a.gguf", "C:\\models\\a", "C:/a.gguf"]
)
def test_what_can_only_be_a_path_is_one(given: str) -> None:
    assert is_path(given)


@pytest.mark.parametrize(
    "given", ["gpt-oss-20b-GGUF", "org/repo", "org/repo:Q4_K_M", "org/repo:m.gguf", "hf.co/org/repo:m.gguf", "user.a"]
)
def test_what_is_written_like_a_name_is_no_path(given: str) -> None:
    assert not is_path(given)
