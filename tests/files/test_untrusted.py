"""An untrusted model: none of it is executed, leads out of its folder, or hangs a parser."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from random_models import random_word_model, word_tokenizer
from tampering import FILES, edit_json

import textvae
from textvae.api import TextVAE
from textvae.config import Config
from textvae.errors import ConfigError, InvalidError, ModelFormatError, UsageError
from textvae.files.lock import check_not_training, sole_training
from textvae.files.untrusted import MOST_BYTES, inside, parse_json, parse_toml
from textvae.saving.folder import load_model, own_file
from textvae.training.run_folder import check_folder

# no code


class Bomb:
    """A pickle that makes a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", [*FILES, "experiment.toml"])
def test_a_pickle_under_any_name_is_refused_and_not_run(
    folder: Path, tmp_path: Path, name: str
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "run"))
    pickle.loads(bomb)
    (tmp_path / "run").unlink()  # so it works
    (folder / name).write_bytes(bomb)
    with pytest.raises(InvalidError, match=name):
        TextVAE.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_pickles_beside_the_model_are_not_read(folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.pt", "optimizer.pt", "vectors.npz"):
        (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "run")))
    TextVAE.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_code_and_other_models_that_a_folder_names_are_not_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "modeling_own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    references = {
        "auto_map": {"AutoModel": "modeling_own.OwnModel", "AutoTokenizer": "modeling_own.T"},
        "trust_remote_code": True,
        "base_model": "someone/else",
        "teacher": "../other",
        "_name_or_path": "/etc",
    }
    edit_json(folder / "config.json", **references)
    own = references | {"tokenizer_class": "modeling_own.OwnTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    (folder / "adapter_config.json").write_text(json.dumps(own))
    import textvae.api.model as api

    fetched: list[str] = []
    monkeypatch.setattr(api, "_download", lambda name: fetched.append(name))
    model = TextVAE.from_pretrained(folder)
    assert model.generate(1) == TextVAE(random_word_model(), word_tokenizer(), Config()).generate(1)
    assert not fetched
    assert not (tmp_path / "run").exists()


def test_no_module_can_unpickle_or_evaluate() -> None:
    """What a stranger's file could be run by is called nowhere."""
    modules = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
    calls = {"eval", "exec", "compile", "__import__"}
    loads = {("torch", "load"), ("np", "load"), ("numpy", "load")}
    for path in Path(textvae.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]}
            assert not names & modules, path
            if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "allow_pickle"):
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in loads, path


# no way out of the folder


@pytest.mark.parametrize("name", [*FILES, "experiment.toml"])
def test_a_link_out_of_the_folder_is_not_followed(saved: Path, folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(saved / name)
    with pytest.raises(ModelFormatError, match=f"{name} is a link that leads out of the folder"):
        TextVAE.from_pretrained(folder)


@pytest.mark.parametrize("name", ["metrics.jsonl", "README.md"])
def test_nor_is_that_of_a_file_which_is_read_later(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text('{"event": "valid", "best": true, "rec": 1}\n')
    (folder / name).symlink_to(tmp_path / "secret")
    model = TextVAE.from_pretrained(folder)
    with pytest.raises(ModelFormatError, match="leads out of the folder"):
        own_file(folder, name)
    if name == "metrics.jsonl":
        with pytest.raises(ModelFormatError, match="leads out of the folder"):
            _ = model.metrics


def test_links_inside_the_folder_and_of_the_hubs_cache_are_followed(
    saved: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "models--a--b"
    snapshot, blobs = repository / "snapshots" / "0123", repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, name in enumerate(FILES):
        shutil.copy(saved / name, blobs / str(number))
        (snapshot / name).symlink_to(Path("../../blobs") / str(number))
    load_model(snapshot)
    (tmp_path / "other").symlink_to(snapshot)
    load_model(tmp_path / "other")  # a link that the user names
    (blobs / "0").unlink()
    (blobs / "0").symlink_to(saved / FILES[0])
    with pytest.raises(ModelFormatError, match="leads out"):
        load_model(snapshot)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b"])
def test_what_is_no_name_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a plain file name"):
        inside(tmp_path, name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not inside(tmp_path, "loop").is_file()


def test_writing_goes_over_no_link(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one in a file's place nor one under the name of an unfinished file leads it away."""
    monkeypatch.setattr("secrets.randbelow", lambda most: 7)
    vae = TextVAE.from_pretrained(folder)
    names = [*FILES, "experiment.toml"]
    for name in names:
        (tmp_path / f"mine-{name}").write_text("mine")
        (folder / name).unlink(missing_ok=True)
        for link in (name, f".{name}.7.part"):
            (folder / link).symlink_to(tmp_path / f"mine-{name}")
    vae.save_pretrained(folder)
    assert {(tmp_path / f"mine-{name}").read_text() for name in names} == {"mine"}
    load_model(folder)


def test_a_run_is_not_resumed_over_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "checkpoints").mkdir()
    (tmp_path / "mine").write_text("mine")
    (folder / "metrics.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(ModelFormatError, match="leads out"):
        check_folder(folder, resume=True, overwrite=False)


def test_a_lock_is_taken_in_the_folder_alone(folder: Path, tmp_path: Path) -> None:
    (folder / ".lock").symlink_to(tmp_path / "elsewhere")
    for use in (check_not_training, lambda out: sole_training(out).__enter__()):
        with pytest.raises(UsageError, match=r"\.lock is a link that leads out .*; remove it"):
            use(folder)
    assert not (tmp_path / "elsewhere").exists()
    (folder / ".lock").unlink()
    os.mkfifo(folder / ".lock")
    with pytest.raises(UsageError, match="is not a regular file; remove it"):
        check_not_training(folder)


@pytest.mark.parametrize("name", ["metrics.jsonl", "experiment.toml", "config.json"])
def test_a_run_does_not_wait_for_a_pipe_in_the_place_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "config.json":  # a model's folder all the same, by its configuration
        check_folder(folder, resume=False, overwrite=True)
    (folder / "checkpoints").mkdir()
    with pytest.raises(UsageError, match=f"{name} is neither a file nor a folder; remove it"):
        check_folder(folder, resume=True, overwrite=False)


# JSON and TOML


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "duplicate name 'a'"),
        ('[{"b": {"a": 1, "a": 2}}]', "duplicate name 'a'"),
        ("[" * 17 + "]" * 17, "nested more than 16 levels deep"),
        ('{"a":' * 17 + "1" + "}" * 17, "nested more than 16 levels deep"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "digits"),
        ("", "Expecting value"),
    ],
)
def test_json_that_readers_could_take_differently_or_not_at_all(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)
    nested = "[" * 16 + "]" * 16
    assert json.dumps(parse_json(nested)) == nested


def test_toml_takes_no_quadratic_time() -> None:
    """tomllib alone needs a minute for the first of these, by the square of the parts of a key."""
    started = time.process_time()
    keys = [".".join("a" * 20_000), " . ".join(['"a."'] * 20_000), ".".join(["'x'"] * 20_000)]
    for text in (*(f"{key} = 1" for key in keys), f"[{keys[0]}]", f"a = {{{keys[0]} = 1}}"):
        with pytest.raises(ValueError, match="more than 32 parts"):
            parse_toml(text)
    files = [f"/data/a.b.c/{n}.x.txt.gz" for n in range(20_000)]
    assert parse_toml(f"train = {json.dumps(files)}") == {"train": files}
    assert time.process_time() - started < 5


def test_a_configuration_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "c.toml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    with pytest.raises(ConfigError, match=f"longer than {MOST_BYTES:,} bytes"):
        Config.resolve(file=tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("[data]\n" + "".join(f"k{n} = 1\n" for n in range(5000)))
    with pytest.raises(ConfigError, match=r"data\.k9 is not a known key; and 4,990 more") as caught:
        Config.resolve(file=tmp_path / "c.toml")
    assert len(str(caught.value)) < 1000
    (tmp_path / "c.toml").write_text("[data]\nmax_tokens = '" + "x" * 100_000 + "'\n")
    with pytest.raises(ConfigError) as caught:
        Config.resolve(file=tmp_path / "c.toml")
    assert len(str(caught.value)) < 1000
