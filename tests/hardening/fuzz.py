"""Feed damaged and hostile model folders and command lines to textvae, and see what it says.

Each case is a function of (seed, number). Most copy the folder of a tiny trained model, change some
of one file (config.json, tokenizer.json, weights, metrics, configuration, classifier, direction,
fitted prior, compressed text, checkpoint), by its structure or byte by byte, and run a command that
reads it. The rest leave the folder alone
and change the command's arguments. Worker processes with limits on memory and processor time run
them; then some run again as commands of their own.

    python tests/hardening/fuzz.py --cases 20000 --processes 300 --out runs/fuzz --table fuzz.json
    python tests/hardening/fuzz.py --out runs/fuzz --replay 1234

A finding is an error other than those of textvae.errors or of the command line's parser, a worker
that dies, 20 seconds of processor time, 1 GiB of memory beyond what a worker starts with, an error
of more than one line, or a control character in what `info` prints. Each stands in the table with
its number, by which --replay shows it.

`parsed` counts the cases that got past the outer parser: the changed file still is JSON, TOML or
safetensors to json, tomllib or safetensors themselves, its compressed blocks have their checksums,
or the changed arguments make a command to typer; so that what judged them is our own code. `used`
counts those whose command ended well.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations import changed, changed_arguments, replace_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from commands import provenance

WHAT = (
    "changed model folders, checkpoints and command lines; parsed: past the parsers of JSON, TOML, "
    "safetensors, compressed blocks or the command line; used: the command ended well"
)
CPU_SECONDS = 20
WALL_SECONDS = 900  # in case a worker waits for something; machines may be busy
MEMORY = 1 << 30  # bytes beyond those of a worker that has imported all
PROCESS_MEMORY = 24 << 30  # address space of a command, most of which libraries only reserve
BATCH = 500  # cases of a worker
KNOWN_CODES = (0, 2, 3, 4, 5)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
ERROR_LINE = re.compile(r"textvae: error: [^\n]{1,6000}\n")  # names of 5,000 letters are given
CHECKPOINT = "checkpoints/step-000000004"
MODELS = {
    "vae": {"tokenizer": "bpe", "vocab_size": 300, "target_kl": 2.0},
    "ae": {"tokenizer": "word", "encoder": "transformer", "decoder": "transformer",
           "positions": "learned", "bag_of_words_weight": 0.1},
    "lm": {"tokenizer": "unigram", "vocab_size": 300, "decoder": "lstm"},
}  # fmt: skip
PRIORS: dict[str, Any] = {"vae": "mixture", "ae": "flow"}
FIT: dict[str, Any] = {"mixture": {"components": 2}, "flow": {"steps": 2}}
SIZES = {
    "hidden_size": 16, "embedding_size": 8, "latent_size": 4, "batch_size": 16, "max_tokens": 40,
    "max_steps": 4, "eval_steps": 2, "log_steps": 1, "device": "cpu", "threads": 1,
}  # fmt: skip
SENTENCES = [
    f"{who} {does} {what} ."
    for who in ("the cook", "my sister", "a dog")
    for does in ("likes", "sees", "paints")
    for what in ("the soup", "an old boat", "rain")
]


@dataclass
class Case:
    """What is run: a file that was changed, how, and the command."""

    target: str
    form: str
    changes: list[str]
    arguments: list[str]
    parsed: bool | None  # by the file's outer parser; None: the arguments' parser decides


def main(arguments: list[str]) -> None:
    """Run the cases, count and tell what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000, metavar="N")
    parser.add_argument("--processes", type=int, default=300, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    parser.add_argument("--replay", type=int, metavar="NUMBER")
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    prepare_environment(out)
    material = out / "material"
    if not (material / "done").is_file():
        shutil.rmtree(material, ignore_errors=True)
        in_child(lambda: make_material(material))
        in_child(lambda: check_material(material, out / "unchanged"))
        (material / "done").touch()
    if options.replay is not None:
        replay(options.seed, options.replay, material, out / "replay")
        return
    import_all()
    started = time.monotonic()
    numbers = range(options.first, options.first + options.cases)
    results = list(run_cases(options.seed, numbers, material, out / "cases"))
    middle = time.monotonic()
    own = range(options.first, options.first + options.processes)
    processes = [run_process(options.seed, n, material, out / "process") for n in own]
    seconds = {"cases": round(middle - started), "processes": round(time.monotonic() - middle)}
    table = provenance(WHAT) | summary(results, processes) | {"seconds": seconds}
    print(json.dumps(table, indent=1))
    if options.table:
        options.table.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    if table["findings"]:
        sys.exit(1)


def prepare_environment(out: Path) -> None:
    """No network, no threads of libraries (which a fork would lose), all writing below `out`."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    quiet = {"OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0", "TEXTVAE_DEBUG": "0"}
    os.environ.update(offline | quiet | {"TEXTVAE_CACHE": str(out / "cache")})
    (out / "cache").mkdir(parents=True, exist_ok=True)


def summary(results: list[dict[str, Any]], processes: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of both kinds of cases, and the findings."""
    by_target: dict[str, Counter[str]] = {}
    for result in results:
        by_target.setdefault(result["target"], Counter())[result["outcome"]] += 1
    return {
        "cases": len(results),
        "parsed": sum(result["parsed"] for result in results),
        "used": sum(result["outcome"] == "ok" for result in results),
        "most_cpu_seconds": max((result["seconds"] for result in results), default=0),
        "most_memory_mib": max((result["memory"] for result in results), default=0) >> 20,
        "targets": {name: dict(counts) for name, counts in sorted(by_target.items())},
        "processes": len(processes),
        "process_codes": dict(Counter(str(result["code"]) for result in processes)),
        "findings": [r for r in (*results, *processes) if r["outcome"] == "finding"],
    }


# the material


def make_material(folder: Path) -> None:
    """A tiny run of each kind, what is made for it, sentences and a configuration."""
    from textvae import TextVAE
    from textvae.classification.classifier import train_classifier
    from textvae.config import Config
    from textvae.saving.identity import fingerprint

    folder.mkdir(parents=True)
    for name, own in MODELS.items():
        config = Config.resolve(options={"model": name, **SIZES, **own})
        (folder / "sentences.txt").write_text("\n".join(SENTENCES) + "\n", encoding="utf-8")
        text = folder / "sentences.txt"
        model = TextVAE.train(text, valid=text, out=folder / name, config=config)
        if name != "lm":
            import numpy as np

            labels = np.arange(len(SENTENCES)) % 3
            classifier = train_classifier(
                model.encode(SENTENCES), labels, ["a", "b", "c"], layer="latent", normalize=False,
                fingerprint=fingerprint(model.model, model.tokenizer, model.config.data),
            )  # fmt: skip
            (folder / name / "classifier.safetensors").write_bytes(classifier.to_bytes())
            direction = model.direction(SENTENCES[:9], SENTENCES[9:])
            direction.save(folder / name / "direction.safetensors")
            more = [f"{text} {n}" for n in range(5) for text in SENTENCES]
            model.store_prior(model.fit_prior(PRIORS[name], more, **FIT[PRIORS[name]]))
        else:
            model.compress(text, folder / name / "packed.tvc")
        (folder / name / "own.toml").write_text(config.to_toml(), encoding="utf-8")
    labelled = "".join(f"{text}\t{n % 3}\n" for n, text in enumerate(SENTENCES))
    (folder / "labelled.tsv").write_text("text\tlabel\n" + labelled, encoding="utf-8")


def check_material(material: Path, scratch: Path) -> None:
    """End the script where a command fails on files that nothing was changed in."""
    chance = random.Random(0)
    for name in MODELS:
        for target in FORMS:
            if (material / name / target).is_file():
                shutil.rmtree(scratch, ignore_errors=True)
                shutil.copytree(material / name, scratch / "model")
                arguments = command_for(chance, target, name, material)
                require_ok(Case(target, "", [], arguments, True), scratch)
    for arguments in commands(material):
        require_ok(Case("arguments", "", [], arguments, None), scratch)


def require_ok(case: Case, scratch: Path) -> None:
    outcome, detail = run_here(case, scratch)
    if outcome != "ok":
        sys.exit(f"{case.arguments}: {outcome}: {detail}")


# cases

FORMS = {  # file -> (its form, how often it is chosen)
    "config.json": ("json", 5),
    "tokenizer.json": ("tokenizer", 6),
    "model.safetensors": ("safetensors", 4),
    "experiment.toml": ("toml", 3),
    "own.toml": ("toml", 3),
    "metrics.jsonl": ("jsonl", 2),
    "classifier.safetensors": ("described", 3),
    "direction.safetensors": ("described", 3),
    "prior.safetensors": ("described", 3),
    "packed.tvc": ("packed", 6),
    f"{CHECKPOINT}/state.json": ("json", 2),
    f"{CHECKPOINT}/sha256.json": ("json", 1),
    f"{CHECKPOINT}/optimizer.safetensors": ("safetensors", 1),
    f"{CHECKPOINT}/weights.safetensors": ("safetensors", 1),
}


def make_case(seed: int, number: int, material: Path, scratch: Path) -> Case:
    """Case `number`, whose files now lie in `scratch`."""
    chance = random.Random(f"{seed} {number}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    if chance.random() < 0.25:
        arguments, changes = changed_arguments(chance, chance.choice(commands(material)))
        return Case("arguments", "arguments", changes, arguments, None)
    name = chance.choice(list(MODELS))
    files = [file for file in FORMS if (material / name / file).is_file()]
    target = chance.choices(files, [FORMS[file][1] for file in files])[0]
    shutil.copytree(material / name, scratch / "model")
    path, form = scratch / "model" / target, FORMS[target][0]
    if chance.random() < 0.05:
        other = material / chance.choice(list(MODELS)) / "config.json"
        changes = [replace_file(chance, path, other)]
        parsed = False
    else:
        content, changes = changed(chance, path.read_bytes(), form)
        path.write_bytes(content)
        parsed = parses(path, form)
        if target.startswith("checkpoints") and "sha256" not in target and chance.random() < 0.8:
            renew_digest(path)
    return Case(target, form, changes, command_for(chance, target, name, material), parsed)


def command_for(chance: random.Random, target: str, name: str, material: Path) -> list[str]:
    """A command that reads the file."""
    text = str(material / "sentences.txt")
    if target.startswith("checkpoints"):
        steps = str(chance.randint(5, 7))
        return ["train", "--out", "model", "--resume", "--max-steps", steps]
    if target == "classifier.safetensors":
        return ["classify", "model", "model/classifier.safetensors", text, "--device", "cpu"]
    if target == "direction.safetensors":
        towards = ["--towards", "model/direction.safetensors", "--device", "cpu"]
        return chance.choice([["generate", "model", "-n", "2"], ["attribute", "model", text]]) + (
            towards
        )
    if target == "prior.safetensors":
        of_prior = [["prior", "model"], ["generate", "model", "-n", "2", "--prior"]]
        if name == "vae":
            of_prior.append(["evaluate", "model", text, "--samples", "2", "--prior"])
        return [*chance.choice(of_prior), "--device", "cpu"]
    if target == "packed.tvc":
        return ["decompress", "model", "model/packed.tvc", "--out", "back.txt"]
    if target == "own.toml":
        return chance.choice([["config", "check", "model/own.toml"],
                              ["config", "show", "--config", "model/own.toml"]])  # fmt: skip
    info = ["info", "model", *chance.choice([[], ["--json"]])]
    if target in ("metrics.jsonl", "experiment.toml") and chance.random() < 0.8:
        return info
    any_model = [
        info,
        ["generate", "model", "-n", "3"],
        ["generate", "model", "-n", "2", "--greedy"],
        ["generate", "model", "-n", "2", "--beams", "3"],
        ["generate", "model", "-n", "2", "--top-p", "0.9", "--repetition-penalty", "1.3"],
    ]
    latent = [
        ["generate", "model", "-n", "2", "--near", SENTENCES[0]],
        ["interpolate", "model", *SENTENCES[:2], "--steps", "3"],
        ["reconstruct", "model", text],
        ["embed", "model", text, "--json"],
        ["embed", "model", text, "--out", "vectors.npz"],
    ]
    scored = [["evaluate", "model", text, "--samples", "2", "--limit", "5"]]
    chosen = chance.choice(any_model + (latent if name != "lm" else []) + scored)
    return [*chosen, "--device", "cpu"] if chosen[0] != "info" else chosen


def parses(path: Path, form: str) -> bool:
    """Whether the outer parser of the file takes it."""
    from safetensors import SafetensorError, safe_open

    from textvae.errors import DataError
    from textvae.files.compressed_blocks import BlockReader

    try:
        if form == "toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif form == "packed":
            with path.open("rb") as file:
                list(BlockReader(file, "packed").blocks())
        elif form in ("safetensors", "described"):
            with safe_open(path, framework="numpy"):
                pass
        else:
            text = path.read_text(encoding="utf-8")
            for part in text.splitlines() if form == "jsonl" else [text]:
                json.loads(part)
    except (DataError, SafetensorError, ValueError, RecursionError, OSError):
        return False
    return True


def renew_digest(path: Path) -> None:
    """Have a checkpoint's digests fit the changed file, as a stranger would."""
    digests = json.loads((path.parent / "sha256.json").read_text(encoding="utf-8"))
    digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / "sha256.json").write_text(json.dumps(digests), encoding="utf-8")


def commands(material: Path) -> list[list[str]]:
    """Commands that work."""
    vae, ae, lm = (str(material / name) for name in MODELS)
    text, classifier = str(material / "sentences.txt"), f"{vae}/classifier.safetensors"
    labelled = str(material / "labelled.tsv")
    return [
        ["generate", vae, "-n", "2", "--seed", "1"],
        ["generate", ae, "-n", "2", "--beams", "2"],
        ["generate", lm, "-n", "2", "--top-k", "5", "--temperature", "0.7"],
        ["generate", vae, "-n", "2", "--near", "the cook", "--scale", "0.5"],
        ["interpolate", vae, "the cook", "a dog", "--steps", "3", "--method", "linear"],
        ["reconstruct", ae, text],
        ["embed", vae, text, "--out", "x.npy"],
        ["embed", vae, text, "--json", "--layer", "encoder"],
        ["evaluate", vae, text, "--samples", "2", "--limit", "4"],
        ["evaluate", lm, text, "--json"],
        ["compare", vae, lm, "--on", text, "--samples", "2"],
        ["classify", vae, classifier, text],
        ["cluster", vae, text, "-k", "3"],
        ["probe", vae, labelled, labelled],
        ["info", lm, "--json"],
        ["config", "check", f"{vae}/own.toml"],
        ["config", "show", "--set", "model.latent_size=8", "--recipe", "small"],
        ["config", "show", "--latent-size", "8", "--target-kl", "3"],
        *latent_commands(vae, ae, lm, text, labelled),
    ]


def latent_commands(vae: str, ae: str, lm: str, text: str, labelled: str) -> list[list[str]]:
    """Commands of the latent space that work, and write nothing into the folders of models."""
    towards = ["--towards", f"{vae}/direction.safetensors"]
    return [
        ["generate", vae, "-n", "2", *towards, "--strength", "0.5"],
        ["generate", ae, "-n", "2", "--prior"],
        ["attribute", vae, text, *towards, "--strength", "0.5,1"],
        ["analogy", vae, "the cook", "a dog", "my sister", "-n", "2", "--scale", "0.5"],
        ["neighbors", vae, text, "--query", "a dog", "-k", "2", "--metric", "dot"],
        ["traverse", vae, "a dog", "--reference", text, "--units", "1", "--steps", "2"],
        ["summarize", ae, labelled, "--beams", "1", "--pool", "2"],
        ["paraphrase", vae, "a dog", "-n", "2", "--draws", "3"],
        ["augment", vae, labelled, "--copies", "1", "--unfiltered", "--out", "x.csv"],
        ["score", vae, text, "--samples", "2", "--threshold", "3", "--measure", "nll_iw"],
        ["prior", vae, "--json"],
        ["compress", lm, text, "--out", "x.tvc"],
        ["decompress", lm, f"{lm}/packed.tvc", "--out", "x.txt"],
        ["plot", "kl", vae, text, "--out", "x.svg"],
    ]


# running


def run_cases(seed: int, numbers: range, material: Path, scratch: Path) -> Iterator[dict[str, Any]]:
    """The result of each case, by workers of which a dead one is replaced."""
    first = numbers.start
    while first < numbers.stop:
        last = min(first + BATCH, numbers.stop)
        for result in from_worker(seed, range(first, last), material, scratch):
            if result["outcome"] == "finding":
                print(json.dumps(result), file=sys.stderr, flush=True)
            yield result
            first = result["case"] + 1
        print(f"{first - numbers.start} of {len(numbers)}", file=sys.stderr, flush=True)


def import_all() -> None:
    """Import once what every worker needs."""
    import accelerate  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import sklearn.cluster
    import sklearn.linear_model  # noqa: F401

    import textvae.api
    import textvae.cli.main
    import textvae.training.train  # noqa: F401


def from_worker(
    seed: int, numbers: range, material: Path, scratch: Path
) -> Iterator[dict[str, Any]]:
    """The results of a worker; where it dies, the last one says of what."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with contextlib.suppress(BaseException), os.fdopen(writing, "w") as pipe:
            work(seed, numbers, material, scratch, pipe)
        os._exit(0)
    os.close(writing)
    done = numbers.start - 1
    how = "ended"
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        rest = b""
        while True:
            if not select.select([pipe], [], [], WALL_SECONDS)[0]:
                how = f"no answer in {WALL_SECONDS} s"
                os.kill(child, signal.SIGKILL)
                break
            chunk = os.read(pipe.fileno(), 1 << 16)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                result = json.loads(line)
                done = result["case"]
                yield result
    _, status = os.waitpid(child, 0)
    if done + 1 < numbers.stop:
        died = f"{how}; signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else how
        yield {"case": done + 1, "target": "?", "outcome": "finding", "parsed": False, "seconds": 0,
               "memory": 0, "detail": f"the worker died: {died}"}  # fmt: skip


def work(seed: int, numbers: range, material: Path, scratch: Path, pipe: io.TextIOBase) -> None:
    """Run cases under limits, and write each one's result as a line."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends also what does not return to Python
    for number in numbers:
        case = make_case(seed, number, material, scratch)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        started = time.process_time()
        outcome, detail = run_here(case, scratch)
        signal.setitimer(signal.ITIMER_PROF, 0)
        result = {
            "case": number,
            "target": case.target,
            "outcome": outcome,
            "parsed": outcome != "usage" if case.parsed is None else case.parsed,
            "seconds": round(time.process_time() - started, 2),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        }
        if outcome == "finding":
            result |= {"changes": case.changes, "arguments": [a[:200] for a in case.arguments]}
            result["detail"] = detail[-3000:]
        pipe.write(json.dumps(result) + "\n")
        pipe.flush()


def run_here(case: Case, scratch: Path) -> tuple[str, str]:
    """(ok, refused, usage or finding; what was said) of a case in this process."""
    import typer
    from typer.main import get_command

    from textvae.cli.main import app
    from textvae.errors import TextVAEError

    os.chdir(scratch)
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace") for _ in range(2)]
    stdin = io.TextIOWrapper(io.BytesIO(b""), "utf-8")
    before = sys.stdin
    sys.stdin = stdin
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            get_command(app).main(case.arguments, prog_name="textvae", standalone_mode=False)
        outcome, detail = "ok", ""
    except TextVAEError as error:
        outcome, detail = "refused", reported(error)
        if not ERROR_LINE.fullmatch(detail) or CONTROLS.search(detail[:-1]):
            outcome, detail = "finding", f"an error of more than a line: {detail[:1500]}"
    except typer.TyperException as error:
        outcome, detail = "usage", str(error)
    except BaseException:
        outcome, detail = "finding", traceback.format_exc()
    finally:
        sys.stdin = before
    if (scratch / "pickle-was-run").exists():
        outcome, detail = "finding", "a pickle was run"
    out = b"".join(stream.detach().getvalue() for stream in streams[:1] if not stream.flush())
    if case.arguments[0] == "info" and CONTROLS.search(out.decode("utf-8")):
        outcome, detail = "finding", f"control characters: {out[:500]!r}"
    return outcome, detail


def reported(error: BaseException) -> str:
    """What the command line says of an error."""
    from textvae.cli.main import report_error

    with contextlib.redirect_stderr(io.StringIO()) as said:
        report_error(error)
    return said.getvalue()


def run_process(seed: int, number: int, material: Path, scratch: Path) -> dict[str, Any]:
    """The result of a case as a command of its own."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (PROCESS_MEMORY, PROCESS_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (3 * CPU_SECONDS, 3 * CPU_SECONDS))

    case = make_case(seed, number, material, scratch)
    command = [sys.executable, "-m", "textvae", *case.arguments]
    result: dict[str, Any] = {"case": number, "target": case.target, "outcome": "finding"}
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, stdin=subprocess.DEVNULL, preexec_fn=limit,
            timeout=WALL_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return result | {"code": "timeout", "detail": f"no end in {WALL_SECONDS} s"}
    said = done.stderr.decode("utf-8", "replace")
    bad = ("Traceback", "unexpected error", "panicked")
    if done.returncode in KNOWN_CODES and not any(word in said for word in bad):
        return result | {"code": done.returncode, "outcome": "as it should be"}
    return result | {"code": done.returncode, "arguments": case.arguments, "detail": said[-3000:]}


def replay(seed: int, number: int, material: Path, scratch: Path) -> None:
    """Show a case: what is changed, the command, and what comes of it."""
    case = make_case(seed, number, material, scratch)
    print(f"{case.target} in {scratch}: {'; '.join(case.changes)}")
    print("textvae", *case.arguments)
    print(*run_here(case, scratch), sep=": ")


def in_child(job: Callable[[], None]) -> None:
    """Run a job in a process of its own, which leaves no threads or caches here."""
    child = os.fork()
    if child == 0:
        try:
            job()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("the material for the cases could not be made")


if __name__ == "__main__":
    main(sys.argv[1:])
