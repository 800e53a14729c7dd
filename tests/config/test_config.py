"""Configuration: what wins, what is refused and in which words, and TOML there and back."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import textvae
from textvae.config import (
    SECTIONS,
    Config,
    ModelConfig,
    ObjectiveConfig,
    all_fields,
    lay_over,
    parse_assignment,
    read_recipe,
    recipe_names,
    section_of,
    toml_value,
)
from textvae.errors import ConfigError, NotFoundError

texts = st.text(st.characters(codec="utf-8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its configuration."""
    return tmp_path / "run.toml"


# what wins


def test_assignments_win_over_options_those_over_the_file_and_that_over_defaults(
    file: Path,
) -> None:
    file.write_text("[model]\nlatent_size = 2\nhidden_size = 20\nlayers = 2\n")
    resolved = Config.resolve(
        file=file,
        options={"hidden_size": 30, "layers": 3, "embedding_size": None},
        assignments=("model.layers=4",),
    )
    assert resolved.model == ModelConfig(latent_size=2, hidden_size=30, layers=4)


def test_nothing_given_is_the_defaults(file: Path) -> None:
    file.write_text("")
    assert Config.resolve() == Config.resolve(file=file) == Config()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.learning_rate=1e-4", 1e-4),
        ("training.max_steps = 10", 10),
        ("data.lowercase=true", True),
        ('data.train=["a", "b"]', ["a", "b"]),
        ("tokenizer.tokenizer=bpe", "bpe"),
        ('tokenizer.tokenizer="bpe"', "bpe"),
        ("tokenizer.tokenizer=C:\\words=1.json", "C:\\words=1.json"),
        ("data.text_column=", ""),
        ("training.max_steps=" + "9" * 5000, "9" * 5000),
        ("training.max_steps=" + "[" * 5000, "[" * 5000),
    ],
)
def test_the_value_of_an_assignment_is_toml_or_else_text(text: str, value: Any) -> None:
    section, key, found = parse_assignment(text)
    assert f"{section}.{key}" == text.partition("=")[0].strip()
    assert found == value


# recipes

PUBLISHED = [name for name in recipe_names() if re.search(r"\d{4}", name)]

# Fields that say nothing in the recipes of papers, whatever their defaults become.
OF_NO_MATTER = {
    "prior", "heads", "positions", "memory_tokens", "kl_warmup", "kl_cycles", "kl_ratio",
    "free_bits_mode", "encoder_training", "decoder_training", "lora_rank", "latent_injection",
    "reset_decoder", "importance_samples", "adversary_learning_rate", "contrastive_temperature",
    "semantic_loss", "semantic_code", "nested",
}  # fmt: skip


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_valid_configuration_that_resolves_once_and_for_all(
    name: str, file: Path
) -> None:
    resolved = Config.resolve(recipe=name)
    file.write_text(resolved.to_toml())  # as the experiment.toml of a run
    assert Config.resolve(file=file) == resolved
    assert (resolved == Config()) == (name == "default")
    assert resolved.data.train == ()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_setting_stays_what_it_is_when_defaults_change(name: str) -> None:
    """Each part of the method that a default switches on is spelled out, on or off."""
    recipe = read_recipe(name)
    sections = ["model"] if recipe["model"]["model"] == "ae" else ["model", "objective"]
    for section in sections:
        fields = SECTIONS[section].model_fields
        on = {key for key, field in fields.items() if field.default not in (0, None, False)}
        assert on - OF_NO_MATTER - recipe[section].keys() == set()


def test_the_file_wins_over_the_recipe_and_options_over_both(file: Path) -> None:
    file.write_text("[model]\nhidden_size = 20\nembedding_size = 20\n[training]\nseed = 3\n")
    alone = Config.resolve(recipe="small")
    resolved = Config.resolve(
        recipe="small",
        file=file,
        options={"embedding_size": 30, "layers": 3, "max_tokens": None},
        assignments=("model.layers=4",),
    )
    sizes = {"hidden_size": 20, "embedding_size": 30, "layers": 4}
    assert resolved.model == alone.model.model_copy(update=sizes)
    assert resolved.training == alone.training.model_copy(update={"seed": 3})
    assert (resolved.data, resolved.tokenizer) == (alone.data, alone.tokenizer)
    differing = alone.model.model_dump().items() - Config().model.model_dump().items()
    assert {"latent_size", "hidden_size", "embedding_size"} <= dict(differing).keys()


@pytest.mark.parametrize(
    ("lower", "upper", "left"),
    [
        ({"beta": 2, "kl_schedule": "linear", "free_bits": 1}, {"target_kl": 8}, {"free_bits": 1}),
        ({"target_kl": 8, "free_bits": 1}, {"beta": 2}, {"free_bits": 1}),
        ({"beta": 2, "kl_schedule": "linear"}, {"beta": 3}, {"kl_schedule": "linear"}),
        ({"beta": 2}, {"target_kl": 8, "kl_schedule": "linear"}, {}),  # an error, not a choice
    ],
)
def test_a_later_layer_takes_back_the_alternatives_of_what_it_gives(
    lower: dict[str, Any], upper: dict[str, Any], left: dict[str, Any]
) -> None:
    values = {"objective": dict(lower), "model": {"layers": 1}}
    lay_over(values, {"objective": upper})
    assert values == {"objective": left | upper, "model": {"layers": 1}}


def test_an_experiment_from_before_tied_embeddings_has_two(tmp_path: Path) -> None:
    for name, tied in (("experiment.toml", False), ("mine.toml", True)):
        (tmp_path / name).write_text("[model]\nlatent_size = 8\n")
        assert Config.resolve(file=tmp_path / name).model.tie_embeddings == tied
    now = Config(model=ModelConfig(tie_embeddings=True)).to_toml()
    (tmp_path / "experiment.toml").write_text(now)
    assert Config.resolve(file=tmp_path / "experiment.toml").model.tie_embeddings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", "recipe 'smal': expected .*he2019-yahoo.*, did you mean 'small'"),
        ("", "recipe '': expected bowman2016, "),
        ("../recipes/small", "expected"),
        ("mine.toml", "Config.resolve"),
    ],
)
def test_an_unknown_recipe_names_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.resolve(recipe=name)


def test_a_recipe_leaves_out_what_a_kind_of_model_has_no_use_for_and_says_so() -> None:
    def left_out(recipe: str, kind: str, **options: Any) -> tuple[Config, list[str]]:
        told: list[str] = []
        given = {"model": kind, **options}
        return Config.resolve(recipe=recipe, options=given, note=told.append), told

    ae, told = left_out("pretrained-decoder", "ae")
    assert told == [
        "recipe pretrained-decoder: objective.pretrain_share does not apply to model='ae'; left out"
    ]
    assert (ae.objective.pretrain_share, ae.objective.kl_warmup) == (0, 0.5)
    lm, told = left_out("pretrained", "lm")
    assert "objective.semantic_weight, objective.principal_start, objective.nested" in told[0]
    assert lm.objective == ObjectiveConfig(free_bits=0.15, semantic_code="sample")
    assert left_out("pretrained", "ae")[0].objective.principal_start == 32
    for name in recipe_names():
        assert left_out(name, "vae")[1] == []
        if "model" not in read_recipe(name).get("model", {}):
            left_out(name, "ae")
            left_out(name, "lm")
    with pytest.raises(ConfigError, match=r"pretrain_share = 0\.5 does not apply to model=ae"):
        left_out("pretrained-decoder", "ae", pretrain_share=0.5)


def test_an_error_over_a_recipe_names_both() -> None:
    with pytest.raises(ConfigError, match=r"^options over recipe small: model.layers = 0"):
        Config.resolve(recipe="small", options={"layers": 0})


def test_all_files_of_the_package_are_installed_with_it() -> None:
    package = Path(textvae.__file__).parent
    project = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["textvae"]
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    there = {path for path in package.rglob("*") if path.is_file() and "pycache" not in str(path)}
    assert {path for path in there if path.suffix != ".py"} == installed
    assert len(installed) > len(recipe_names())


# there and back


@settings(deadline=None)
@given(
    train=st.lists(texts).map(tuple),
    text_column=st.none() | texts,
    lowercase=st.booleans(),
    beta=st.floats(min_value=0, allow_infinity=False),
    learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    seed=st.integers(0, 2**63 - 1),
)
def test_toml_gives_back_any_configuration(
    tmp_path_factory: pytest.TempPathFactory, **options: Any
) -> None:
    config = Config.resolve(options=options)
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(config.to_toml().encode())
    assert Config.resolve(file=file) == config


def test_toml_holds_every_character(file: Path) -> None:
    """Quotes, escapes, control characters, DEL, and what UTF-16 needs two units for."""
    name = "".join(map(chr, range(256))) + '"""\\u0041\u2028\ufeff😀'
    config = Config.resolve(options={"train": (name,)})
    file.write_bytes(config.to_toml().encode())
    assert Config.resolve(file=file).data.train == (name,)


@given(texts)
def test_an_assignment_takes_what_toml_writes(text: str) -> None:
    assert parse_assignment(f"data.text_column={toml_value(text)}")[2] == text


# what it promises


def test_a_field_name_stands_in_one_section_only() -> None:
    assert [name for name, count in Counter(all_fields()).items() if count > 1] == []
    assert set(SECTIONS) == set(Config.model_fields)
    for section, fields in SECTIONS.items():
        assert type(getattr(Config(), section)) is fields
        assert {section_of(name) for name in fields.model_fields} == {section}


def test_a_configuration_never_changes() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.model.latent_size = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.model = ModelConfig()  # type: ignore[misc]


# what is refused, and how


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.latent_size=-3", "latent_size = -3: expected a whole number from 1 to 65,536$"),
        ("model.latent_size=1000000000000", "model.latent_size = 1000000000000"),
        ("model.latent_size=nan", "model.latent_size = nan: expected a whole number"),
        ("training.max_steps=0", "max_steps = 0: expected a whole number of 1 or more$"),
        ("training.epochs=-1", "epochs = -1: expected a number above 0$"),
        ("data.valid_fraction=0", "expected a number above 0 and less than 1$"),
        ("data.lowercase=perhaps", "'perhaps': expected true or false$"),
        ("data.cache_dir=3", "expected text$"),
        ("data.train=abc", "expected a list of strings$"),
        ("model.encoder=rnn", "model.encoder = 'rnn': expected gru, lstm, transformer, a hub id"),
        ("model.latent_sise=3", "model.latent_sise is not a known key, did you mean 'latent_size'"),
        ("model.word_dropout=1.0", "model.word_dropout = 1.0: .*from 0 to less than 1$"),
        ("objective.beta=inf", "objective.beta = inf: expected a number of 0 or more$"),
        ("objective.kl_warmup=1.5", "objective.kl_warmup = 1.5"),
        ("training.seed=9223372036854775808", "training.seed = 9223372036854775808"),
        ("training.precision=a\nb", r"training.precision = 'a\\nb'"),
        ("data.train=[1]", "data.train.0 = 1: expected text$"),
        ("modle.latent_size=3", "section.key=value"),
        ("latent_size=3", "section.key=value"),
        ("model.latent_size", "section.key=value"),
        ("data.text_column=\udcff", r"data.text_column = '\\udcff': not valid UTF-8"),
    ],
)
def test_a_refused_assignment_is_named_in_one_line(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Config.resolve(assignments=(assignment,))
    assert str(caught.value).isprintable()


def test_a_value_of_options_over_a_file_is_not_laid_to_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[model]\nlayers = 2\n")
    with pytest.raises(ConfigError, match=r"mine\.toml and options: model\.latent_size"):
        Config.resolve(file=file, options={"latent_size": 0})
    file.write_text("[model]\nlayers = 0\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: model\.layers"):
        Config.resolve(file=file, options={"latent_size": 8})
    with pytest.raises(ConfigError, match=r"^x: model = 3: expected a table"):
        Config.validate_values({"model": 3}, where="x")  # type: ignore[dict-item]


def test_each_field_says_what_it_holds() -> None:
    for section, fields in SECTIONS.items():
        for name in fields.model_fields:
            with pytest.raises(ConfigError) as caught:
                Config.validate_values({section: {name: object()}}, where="x")
            assert "nput should" not in str(caught.value)
            assert re.search(r": expected .*[\w']$", str(caught.value)), caught.value


def test_a_long_value_is_quoted_in_part() -> None:
    for assignment in (f"training.precision={'x' * 9999}", "y" * 9999, f"model.{'z' * 9999}=1"):
        with pytest.raises(ConfigError, match=r"(xx|yy|zz)\.\.\.") as caught:
            Config.resolve(assignments=(assignment,))
        assert len(str(caught.value)) < 400


def test_a_value_beyond_arithmetic_is_refused_like_any_other() -> None:
    options = {"posterior_batch_norm": 1e300, "target_kl": 4}
    with pytest.raises(ConfigError, match=r"target_kl = 4: .* keeps the KL at inf nats"):
        Config.resolve(options=options)


def test_toml_has_no_control_character_for_a_terminal(file: Path) -> None:
    config = Config.resolve(options={"train": ("a\x1b\x7f\x9b\u202e.txt",)})
    written = config.to_toml()
    assert written.replace("\n", "").isprintable()
    file.write_bytes(written.encode())
    assert Config.resolve(file=file) == config


def test_an_unknown_option_names_its_neighbour() -> None:
    with pytest.raises(ConfigError, match="'latent_sise', did you mean 'latent_size'"):
        Config.resolve(options={"latent_sise": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "ae", "posterior_batch_norm": 0.7},
            "model: posterior_batch_norm 0.7 .*=ae, which",
        ),
        ({"model": "lm", "committed_rate": 3}, "model: committed_rate 3 .* train a vae"),
        ({"model": "lm", "skip_z": True}, "model: skip_z .* model=lm, which has no latent"),
        ({"committed_rate": 500}, "committed_rate 500 is 15.6 nats for each of 32 .* at most 10"),
        ({"model": "lm", "noise_drop": 0.1}, "noise_drop = 0.1 does not apply to model=lm"),
        (
            {"model": "lm", "noise_shuffle": 3},
            r"objective.noise_shuffle = 3.0 does not apply to model=lm",
        ),
        ({"noise_blank": 1.5}, "objective.noise_blank = 1.5"),
        ({"noise_shuffle": -1}, "objective.noise_shuffle = -1"),
    ],
)
def test_what_a_model_cannot_do_is_refused_in_one_line(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Config.resolve(options=options)
    assert str(caught.value).isprintable()
    Config.resolve(options={**options, **dict.fromkeys(options.keys() - {"model"}, 0)})


@pytest.mark.parametrize("transformer", ["encoder", "decoder"])
@pytest.mark.parametrize(("hidden_size", "heads"), [(10, 4), (12, 4)])
def test_heads_share_the_width_in_pairs(transformer: str, hidden_size: int, heads: int) -> None:
    options = {"hidden_size": hidden_size, "heads": heads}
    assert Config.resolve(options=options).model.heads == heads  # of no matter without Transformer
    with pytest.raises(ConfigError, match=f"model: hidden_size {hidden_size} .* heads {heads}"):
        Config.resolve(options={**options, transformer: "transformer"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[modle]\nlayers = 1", "modle is not a known key, did you mean 'model'"),
        ("[model]\nlayers = 0\nheads = 0", "model.layers = 0: .*; model.heads = 0: "),
        ('[model]\n"a\\nb" = 1', re.escape(r"'model.a\nb' is not a known key")),
        ('model = "ae"', "model = 'ae' is not in a section; put it under .model."),
        ("latent_size = 3", "latent_size = 3 is not in a section; put it under .model."),
        ("anything = 3", "anything = 3 is not in a section$"),
        ("[[model]]\nlayers = 1", "model = .* is not in a section"),
        ("[model", "not valid TOML"),
        ("[model]\nlayers = " + "9" * 5000, "not valid TOML"),
        ("[model]\nlayers = " + "[" * 5000, "not valid TOML"),
        (b"[model]\n# \xff", "not valid TOML"),
    ],
)
def test_a_refused_file_is_named_in_one_line(
    file: Path, content: str | bytes, message: str
) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        Config.resolve(file=file, options={"latent_size": 8})
    assert str(caught.value).startswith(f"{file}: ")
    assert str(caught.value).isprintable()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such configuration file"):
        Config.resolve(file=tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.resolve(file=tmp_path)


# terms of the loss that need or exclude others


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_kl": 4.0, "beta": 1.0}, r"leave out beta$"),
        ({"target_kl": 4.0, "kl_schedule": "linear", "beta": 1.0}, r"beta and kl_schedule"),
        ({"target_kl": -4.0}, r"objective\.target_kl = -4\.0"),
        ({"target_kl": 7.8, "posterior_batch_norm": 0.7}, r"7\.84 nats or more"),
        ({"target_kl": 2.0, "committed_rate": 8.0}, r"target_kl = 2: .* 8 nats or more"),
        ({"importance_samples": 8}, r"free_bits 0\.2.*set free_bits to 0"),
        ({"target_kl": 4.0, "model": "ae"}, r"target_kl = 4\.0.*=ae;.*train a vae$"),
        ({"aggressive": True, "model": "lm"}, r"aggressive = True.*=lm;.*train a vae$"),
        ({"mmd_weight": 1.0, "model": "lm"}, r"mmd_weight = 1\.0.*train a vae or an ae"),
        ({"contrastive_weight": 1.0}, r"would be equal; add dropout or noise"),
        ({"pretrain_share": 1.0}, r"pretrain_share = 1\.0"),
    ],
)
def test_what_contradicts_itself_says_what_to_leave_out(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.resolve(options=options)


def test_a_target_replaces_the_weight_in_the_resolved_toml(tmp_path: Path) -> None:
    config = Config.resolve(options={"target_kl": 4.0})
    (tmp_path / "a.toml").write_text(config.to_toml(), encoding="utf-8")
    assert Config.resolve(file=tmp_path / "a.toml") == config
    (tmp_path / "b.toml").write_text(
        "[objective]\ntarget_kl = 4\nkl_schedule = 'linear'\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="kl_schedule"):
        Config.resolve(file=tmp_path / "b.toml")


def test_a_path_names_a_pretrained_model(tmp_path: Path) -> None:
    assert Config.resolve(options={"encoder": tmp_path}).model.encoder == str(tmp_path)
