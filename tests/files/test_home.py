"""`~` in paths: never a folder of that name, wherever the shell has not expanded it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from textvae import TextVAE
from textvae.api import Row
from textvae.config import Config
from textvae.errors import UsageError
from textvae.export import write_vectors
from textvae.files.home import expand_home, home_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_vae: Path, corpus: Path) -> Path:
    """A home folder with a model and sentences; the current folder is an empty one."""
    place, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    (place / "m").symlink_to(tiny_vae, target_is_directory=True)
    (place / "a.txt").write_bytes(corpus.read_bytes())
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.chdir(elsewhere)
    return place


def test_the_home_folder_takes_the_place_of_the_tilde(home: Path) -> None:
    assert expand_home("~/m") == str(home / "m")
    assert expand_home("~") == str(home)
    assert expand_home("./~m") == "./~m"
    assert expand_home("a~/m") == "a~/m"
    assert home_path(Path("~/m")) == home / "m"
    assert home_path("~root/x") == Path(os.path.expanduser("~root/x"))
    for odd in ("~\0/m", "~\ud800", "~\nx"):
        with pytest.raises(UsageError, match="no home folder"):
            home_path(odd)
    with pytest.raises(UsageError, match=r"no home folder ~nobody-here.*\./~nobody-here/m"):
        home_path("~nobody-here/m")


@pytest.mark.usefixtures("home")
def test_a_file_of_such_a_name_can_be_reached() -> None:
    Path("~x").write_text("us !\n")
    assert home_path("./~x").read_text() == "us !\n"
    assert home_path(Path("./~x")).read_text() == "us !\n"


def test_every_method_of_python_expands_it(home: Path) -> None:
    vae = TextVAE.from_pretrained("~/m")
    assert vae.folder == home / "m"
    assert TextVAE.from_pretrained(Path("~/m")).kind == "vae"
    assert vae.evaluate("~/a.txt", samples=1).figures["n_sentences"] == 150
    assert write_vectors(vae, "~/a.txt", "~/v.npy").path == home / "v.npy"
    rows = [Row(text, label) for text, label in zip("abcd" * 2, "xyxy" * 2, strict=True)]
    vae.probe(rows, folds=2).fit_classifier().save("~/c.safetensors")
    assert len(vae.classify("~/a.txt", "~/c.safetensors")) == 150
    vae.save_pretrained("~/copy")
    assert (home / "copy" / "config.json").is_file()
    tiny = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2, "max_steps": 2}
    tiny |= {"device": "cpu", "tokenizer": "~/m/tokenizer.json"}
    TextVAE.train("~/a.txt", valid=["~/a.txt"], out="~/r", **tiny)
    assert (home / "r" / "config.json").is_file()
    settings = Config.resolve(options={**tiny, "train": ("~/a.txt",), "cache_dir": "~/cache"})
    TextVAE.train(config=settings, out=Path("~/s"))
    assert (home / "s" / "config.json").is_file()
    assert (home / "cache" / "corpora").is_dir()
    assert not list(Path().glob("*~*"))


@pytest.mark.parametrize(
    "command",
    [
        "train ~/a.txt --valid=~/a.txt --out=~/r --max-steps 2 --hidden-size 8 --tokenizer=~/m",
        "train ~/a.txt --dry-run --max-steps 2 --recipe small",
        "info ~/m",
        "generate ~/m -n 1",
        "reconstruct ~/m ~/a.txt",
        "embed ~/m ~/a.txt --out=~/v.npy",
        "cluster ~/m ~/a.txt -k 2 --out=~/c.csv",
        "evaluate ~/m ~/a.txt --samples 1 --out=~/e.json",
        "compare ~/m --on=~/a.txt --samples 1 --out=~/c.json",
        "config check ~/e.toml",
        "config show --config=~/e.toml",
    ],
)
def test_every_command_expands_it(command: str, home: Path, textvae) -> None:
    (home / "e.toml").write_text("[data]\n")
    ran = textvae(*shlex.split(command))
    assert ran.code == 0, ran.err
    assert not list(Path().glob("*~*"))


def test_an_output_does_not_overwrite_its_input(home: Path, textvae) -> None:
    (home / "a.csv").write_text("text\nus !\n")
    ran = textvae("embed", "~/m", "~/a.csv", "--out=~/a.csv")
    assert ran.code == 2
    assert "overwrite" in ran.err


def test_an_unknown_user_is_refused_by_every_command(home: Path, textvae) -> None:
    for command in ("info ~nobody-here/m", "train ~/a.txt --out=~nobody-here/r"):
        ran = textvae(*shlex.split(command))
        assert ran.code == 2, ran.err
        assert "no home folder ~nobody-here" in ran.err
    assert not list(Path().glob("*~*"))
