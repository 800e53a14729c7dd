# Sourced by scripts/demo and scripts/test: .venv with textvae in it, made once and reused.
# A change of pyproject.toml or constraints.txt installs again.

setup_venv() { # setup_venv [EXTRA]
    local extra="${1:-}" python="" candidate stamp
    for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3 python; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is needed; set PYTHON to its path" >&2
        return 1
    fi
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    stamp="$(cat pyproject.toml constraints.txt | cksum) $extra"
    if ! grep -qxF "$stamp" .venv/installed 2>/dev/null; then
        echo "Installing into .venv (a few minutes the first time)" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --editable ".${extra:+[$extra]}"
        echo "$stamp" >>.venv/installed
    fi
}
